/**
 * The same cases in every run, so that a commit which passes goes on passing; other seeds find what these do not:
 * `JOBLEDGER_TEST_SEED=<n>`, or `random`. A failure prints its seed.
 */
import fc from 'fast-check'

const given = process.env.JOBLEDGER_TEST_SEED ?? '20261127'
if (given !== 'random') fc.configureGlobal({ seed: Number(given) })
