import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { unexportedTypes } from './support/named-types.js'

const root = fileURLToPath(new URL('..', import.meta.url))

const { tshy: { exports: { './package.json': _, ...entries } } } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

t.test('a host can import every type that a public type names', async t => {
  const { types, seen } = unexportedTypes(root, Object.values<string>(entries).map(entry => join(root, entry)))
  t.strictSame(types, [])
  t.ok(seen > 100)
})

t.test('a type that is named and not exported is told, members that users cannot see are not looked at', async t => {
  const folder = t.testdir({
    src: {
      'entry.ts': "export { Open } from './open.js'\nexport type { Options } from './open.js'\n",
      'open.ts': `
        interface Hidden { readonly size: number }
        interface Inner { readonly hidden: Hidden }
        class Own {}
        export type Options = { readonly inner?: Inner }
        export class Open {
          #own = new Own()
          private readonly also: Own = this.#own
          take (options: Options): number { const all: Own[] = [this.#own, this.also]; return all.length }
        }
      `
    }
  })
  t.strictSame(unexportedTypes(folder, [`${folder}/src/entry.ts`]).types, ['Hidden (src/open.ts)', 'Inner (src/open.ts)'])
})
