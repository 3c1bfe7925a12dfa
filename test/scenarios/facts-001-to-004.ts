/**
 * What the tests of 001 to 003 pin down of the contract of a job; those of 004 pin down nothing. What belongs to other work
 * comes with it. 001: schedules, figures and lists of the admin pages. 002: triggers of every kind with their poller and
 * debounce, client-run jobs. 003: the size of a queue by priority.
 */
export const FACTS_001_TO_004: Readonly<Record<string, string>> = {
  '001.1':
    'one job, several of a type and several of many types are enqueued alike; a batch is there whole or not at all',
  '001.2': 'what is not a job, and a payload that cannot be kept, is refused, and nothing is stored',
  '001.3': 'in the caller’s transaction: rolled back, there is no job; committed, there is one',
  '001.4': 'a type can be given any name, and is found under it',
  '001.5': 'priority is 0 unless given, and lower goes first',
  '001.6': 'a job with a time is not run before it, and until then competes with nobody',
  '001.7': 'a handler that is not a function is refused',
  '001.8': 'a second handler for a type is refused',
  '001.9': 'a handler that blows up is a failed attempt, with the error and its stack on record, and is tried again',
  '001.10': 'every attempt leaves an entry with its number, error, times and both versions, also when the job is done',
  '001.11': 'the handler can read its job’s id and its user; a user that was not set is absent, not empty',
  '001.12':
    'the versions of the program that enqueued and of the one that ran a job are kept; unknown ones are not made up',
  '001.13': 'closing what was never started does nothing and ends at once',
  '001.14': 'a waiting job can be deleted; a running one can be neither deleted nor moved to another time',
  '001.50': 'a pool is listed with its name, queues, slots, version and types',
  '001.52': 'a pool that was silent for more than two minutes is listed no more',
  '001.51': 'the lengths of the queues are told by state and by type',
  '001.40': 'a ledger for tests runs nothing of its own accord',
  '001.41': 'asked whether it is empty, how many jobs there are and of which types, it answers pass or fail',
  '001.42':
    'it gives all jobs in their order, the first, the n-th counted from 1, and the same of one type; of what is not there, nothing',
  '001.43': 'to make one takes no handle of a test framework; what it is given instead is checked',
  '002.1': 'payloads stored in an older form are still understood',
  '002.2': 'a type that nobody knows is refused where it is enqueued',
  '002.3': 'a handler that blows up has had an ordinary failed run, and is tried again',
  '002.4': 'a run past its timeout is told through its signal and counts as failed',
  '002.5': 'a payload that is missing, or that cannot be understood, is an error of its own and not tried again',
  '002.40':
    'a job that the hook before the enqueue does not want comes back as an object, and nothing is stored or run',
  '002.41': 'init once per process; then for each run start, the handler and commit, in this order',
  '002.42': 'a start that fails is an error of the job, without the handler and without commit',
  '002.43': 'commit is told the last error, once, and its own error is only logged',
  '002.44': 'an error hook that says false ends the retries with the error it was asked about',
  '002.45': 'what start attaches to the context is there for the handler',
  '002.46': 'the context has the deadline of the run, and a flag against further attempts that can be read',
  '002.60': 'a reserved type is forbidden to who has not its role, and the server itself may enqueue it',
  '002.61': 'hidden, a reserved type looks like one that nobody knows',
  '002.62': 'the first refusal of a window says reached, later ones exceeded; each tenant and type has its own count',
  '003.1':
    'success ends a job, a recoverable error brings it back with one more failure counted, any other ends it as failed',
  '003.2': 'what a former process has left unfinished runs again when the log is opened',
  '003.3': 'closing stops the handlers through their signals and waits for them',
  '003.4': 'lower priority first, then the older',
  '003.5': 'a requeued job keeps its place, also when it gets another priority',
  '003.6': 'a priority out of range is refused; to look for a job where there is none gives none',
  '001.60': 'a pool takes by priority among the jobs that are due, unless it is told otherwise',
  '001.61': 'told so, it takes by run time, and by priority only among equals',
  '001.62': 'a second handler for a type is refused also after the ledger was opened',
  '001.63': 'a handler that is registered after the start is taken up, which is logged; no run is lost over it',
  '001.64':
    'a shutdown of what was never started does nothing; of what was, it waits for the handlers, and the pool is gone from the list',
  '002.80': 'a type with a concurrency of 0 is not run in this process, and others may run it',
  '002.81': 'the process’s configuration goes over a type’s concurrency, attempts and timeout',
  '002.82': 'jobs started by hand are looked at first in two of three turns',
  '002.83': 'a job can lower the attempts and the timeout of who runs it, not raise them',
  '002.84':
    'a shutdown takes in nothing more, aborts what runs and waits until its deadline; a run that still ends is recorded as it ended',
  '003.40': 'a batch has from 1 to 1000 jobs',
  '003.41': 'the first start says yes, a second one while it runs says no; after a stop it can be started again',
  '003.42': 'it can be told to start by itself when it is opened',
  '004.40': 'a client without handlers only enqueues; to start it is an error',
  '004.41': 'the total of completed jobs is logged now and then',
  '004.42': 'a second worker of a kind is refused',
}
