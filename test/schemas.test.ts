import { readFileSync } from 'node:fs'
import t from 'tap'
import { generated } from '../schemas/generated.js'

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
const files = generated()

t.test('what is made of the tables of options is in the repository', async t => {
  t.equal(files.size, 14)
  for (const [name, content] of files) t.equal(read(name), content, `${name}: run npm run build:schemas`)
})

t.test("the README's table and the page of options have every option of the plugin", async t => {
  const source = /export interface ChunkedUploadOptions \{\n(.*?)\n\}\n/s.exec(read('src/options.ts'))?.[1] ?? ''
  const known = [...source.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(match => match[1])
  t.ok(known.length > 20)
  const table = /<!-- options:start.*?-->(.*?)<!-- options:end -->/s.exec(read('README.md'))?.[1] ?? ''
  const section = /^## The plugin.*?^(?=## )/ms.exec(read('docs/options.md'))?.[0] ?? ''
  for (const text of [table, section]) {
    const shown = [...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
    t.strictSame(shown.sort(), [...known].sort())
  }
})

t.test('every option says what it means', async t => {
  const rows = [...read('docs/options.md').matchAll(/^\| `(\w+)` \| (.+?) \| (.+?) \| (.*) \|$/gm)]
  t.ok(rows.length > 100)
  for (const [, name = '', kind = '', , meaning = ''] of rows) t.ok(kind.length > 3 && meaning.length > 5, name)
})
