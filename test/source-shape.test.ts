import { fileURLToPath } from 'node:url'
import t from 'tap'
import { endOf } from './support/child.js'
import { childEnv } from './support/child-env.js'

const script = fileURLToPath(new URL('../scripts/source-shape.js', import.meta.url))

interface Files {
  readonly [name: string]: string | Files
}

/** What the check says of these files, and how it ends. */
function checked (src: Files): { status: number | null, stdout: string } {
  return endOf(process.execPath, [script, t.testdir({ src: { ...src } })], { env: childEnv })
}

t.test('the source has the shape that it should have', async t => {
  const { status, stdout } = endOf(process.execPath, [script], { env: childEnv })
  t.equal(status, 0, stdout)
  t.match(stdout, /^src\/: \d+ files, \d+ lines; longest: \S+, \d+ lines\n/)
})

t.test('a file that is as it should be is let through', async t => {
  t.equal(checked({ 'a.ts': "import { b } from './b.js'\nexport const a = b\n", 'b.ts': 'export const b = 1\n' }).status, 0)
})

const wrong: ReadonlyArray<readonly [what: string, src: Files, told: string]> = [
  ['a circle of types', {
    'a.ts': "import type { B } from './b.js'\nexport type A = B\n",
    'b.ts': "export type { C as B } from './c.js'\n",
    'c.ts': "export type C = import('./a.js').A\n"
  }, 'src/a.ts ↔ src/b.ts ↔ src/c.ts'],
  ['a room that reaches for one above', {
    engine: { records: { 'a.ts': "export { b } from '../operations/b.js'\n" }, operations: { 'b.ts': 'export const b = 1\n' } }
  }, 'src/engine/records/a.ts → src/engine/operations/b.ts'],
  ['a long file', { 'long.ts': 'export {}\n'.repeat(301) }, 'src/long.ts: 301'],
  ['a function of many parameters', {
    'a.ts': 'export function many (a: 1, b: 1, c: 1, d: 1, e: 1): void {}\n'
  }, 'src/a.ts: many'],
  ['a method of many parameters', {
    'a.ts': 'export class A {\n  many (a: 1, b: 1, c: 1, d: 1, e: 1): void {}\n}\n'
  }, 'src/a.ts: many']
]

for (const [what, src, told] of wrong) {
  t.test(`${what} is told`, async t => {
    const { status, stdout } = checked(src)
    t.equal(status, 1)
    t.ok(stdout.includes(`\n  ${told}\n`), stdout)
  })
}

t.test('a long file may say why it is long', async t => {
  t.equal(checked({ 'long.ts': '// A table of the standard, kept in one piece.\n' + 'export {}\n'.repeat(301) }).status, 0)
})
