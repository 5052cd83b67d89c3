import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { requireProgram } from './support/requires.js'

t.test('a program that is installed is found by the first name that exists', async t => {
  const folder = t.testdir({ browser: '#!/bin/sh\n', plain: 'not a program' })
  chmodSync(join(folder, 'browser'), 0o755)
  t.equal(requireProgram(t, ['missing', 'browser'], { PATH: `/nowhere:${folder}`, CI: 'true' }), join(folder, 'browser'))
})

t.test('a program that is missing fails the test in CI', async t => {
  t.throws(() => requireProgram(t, ['missing'], { PATH: t.testdir(), CI: 'true' }), { message: /needs missing/ })
})

t.test('a program that is missing skips the test elsewhere', async t => {
  const plans: unknown[] = []
  const test = { plan: (...args: unknown[]) => { plans.push(args) } }
  t.equal(requireProgram(test, ['missing', 'absent'], { PATH: '', CI: 'false' }), undefined)
  t.strictSame(plans, [[0, 'needs missing or absent, which is not installed']])
})
