import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node'

interface Count {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** A test that never got a result did not pass: its file crashed, or the run was stopped. */
function verdict(test: TestCase): keyof Count {
  const { state } = test.result()
  return state === 'pending' ? 'failed' : state
}

/** Errors outside of any test: a file that does not load, a failing beforeAll, a worker that dies. */
function errorsOutsideTests(modules: readonly TestModule[]): number {
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()])
  return suites.filter((suite) => suite.errors().length > 0).length
}

function countOf(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Count {
  const count = { passed: 0, failed: errorsOutsideTests(modules) + unhandled.length, skipped: 0 }
  for (const module of modules) {
    for (const test of module.children.allTests()) count[verdict(test)] += 1
  }
  return count
}

function countLine({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** Prints the count as the last line of the whole run, where scripts look for it. */
export class CountReporter implements Reporter {
  /** Until a run has ended nothing has passed: if the process goes down before, that is the truth to print. */
  private count: Count = { passed: 0, failed: 1, skipped: 0 }

  onInit(): void {
    // At exit, since vitest may still complain after the run has ended (open handles, coverage).
    process.once('exit', (code) => this.print(code))
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    this.count = countOf(modules, unhandled)
  }

  /** Whatever else makes the run fail (no test found, coverage too low) is one failure: the line never contradicts the exit code. */
  private print(code: number): void {
    const failed = code !== 0 && this.count.failed === 0 ? 1 : this.count.failed
    process.stdout.write(`${countLine({ ...this.count, failed })}\n`)
  }
}
