/**
 * Environment of a process that runs the source through another compiler than the tests do. The test runner's own loader has no business
 * in it, and its coverage must not be counted: compilers put a function at different offsets, and the merge takes them for one.
 */
export const childEnv: NodeJS.ProcessEnv = { PATH: process.env['PATH'], _TAPJS_PROCESSINFO_COVERAGE_: '0' }
