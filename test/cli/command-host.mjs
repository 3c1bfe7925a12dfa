/**
 * Runs command lines of the built CLI one after the other, in one process: half a second of starting is spent once, not for each.
 * What is written to stdout and stderr is kept and sent back with the exit code.
 */
import { perform } from '../../dist/adapters/cli/program.js'

const own = { ...process.env }

/** Takes the place of a stream's `write` for as long as a command runs. */
function kept(stream) {
  const { write } = stream
  let text = ''
  stream.write = (chunk, encoding, done) => {
    text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8')
    const callback = typeof encoding === 'function' ? encoding : done
    if (callback !== undefined) process.nextTick(callback)
    return true
  }
  return () => {
    stream.write = write
    return text
  }
}

function setEnvironment(env) {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name]
  Object.assign(process.env, env)
}

process.on('message', async ({ args, env }) => {
  setEnvironment({ ...own, ...env })
  process.exitCode = undefined
  const [stdout, stderr] = [kept(process.stdout), kept(process.stderr)]
  await perform([process.execPath, 'jobledger', ...args])
  const ran = { code: process.exitCode ?? 0, stdout: stdout(), stderr: stderr() }
  process.exitCode = undefined
  process.send(ran)
})
process.on('disconnect', () => process.exit())
process.send('ready')
