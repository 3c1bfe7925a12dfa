/** For a child process: our environment, but for a debugger that would wait at the port of this process. */
export function childEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS, ...others } = process.env
  if (NODE_OPTIONS === undefined) return others
  return { ...others, NODE_OPTIONS: NODE_OPTIONS.replace(/(^|\s)--inspect\S*/g, '') }
}
