import { readFileSync } from 'node:fs'
import t from 'tap'

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')

t.test("the README's table has every option of the plugin, and no other", t => {
  const source = /export interface ChunkedUploadOptions \{\n(.*?)\n\}\n/s.exec(read('src/options.ts'))?.[1] ?? ''
  const known = [...source.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(match => match[1])
  const table = /<!-- options:start -->(.*?)<!-- options:end -->/s.exec(read('README.md'))?.[1] ?? ''
  const shown = [...table.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)].flatMap(match => (match[1] ?? '').replaceAll('`', '').split(', '))
  t.ok(known.length > 20)
  t.strictSame(shown.sort(), known.sort())
  t.end()
})

t.test('the commands of the README are scripts of the package', t => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const commands = [...read('README.md').matchAll(/npm (?:run )?(start|test|bench)\b/g)].map(match => match[1] ?? '')
  t.ok(commands.length > 2)
  for (const command of commands) t.ok(scripts[command], command)
  t.end()
})
