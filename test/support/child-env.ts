const endsWithParent = new URL('./ends-with-parent.mjs', import.meta.url).href

/** Argument of node for a process that gets no NODE_OPTIONS: it ends when its parent has ended. */
export const endWithParent = `--import=${endsWithParent}`

/**
 * Environment of a process that runs the source through another compiler than the tests do. The test runner's own loader has no business
 * in it, and its coverage must not be counted: compilers put a function at different offsets, and the merge takes them for one.
 * The process ends when its parent has ended.
 */
export const childEnv: NodeJS.ProcessEnv = { PATH: process.env['PATH'], NODE_OPTIONS: endWithParent, _TAPJS_PROCESSINFO_COVERAGE_: '0' }
