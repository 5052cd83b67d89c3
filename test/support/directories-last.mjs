import { isMainThread } from 'node:worker_threads'

// The runner removes a test's directory before what the test tears down later than it has asked for the directory: a server would lose its
// files while it still works. What is torn down first of all comes before the directory, and takes all the rest along.
// Worker threads load this file too, and must not load the runner: it takes their messages.
if (isMainThread) {
  const { default: t } = await import('tap')
  t.teardown(() => {})
  t.beforeEach(t => { t.teardown(() => {}) })
}
