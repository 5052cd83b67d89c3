import { existsSync } from 'node:fs'
import t from 'tap'

t.test('the directory of a test is there until all is torn down', async t => {
  let there: boolean | undefined
  await t.test('a test', async t => {
    const directory = t.testdir()
    t.teardown(() => { there = existsSync(directory) })
  })
  t.equal(there, true)
})
