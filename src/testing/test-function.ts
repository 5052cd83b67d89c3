/** How a suite declares one test: `test` of node:test, tap or vitest fits, called as `(name, run)`. */
export type TestFunction = (name: string, run: () => Promise<void>) => unknown
