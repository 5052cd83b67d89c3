import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { run as runProgram } from './support/child.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const name = 'fastify-chunked-upload'
/** Those that hold more than types. */
const entries = [name, ...['adapter', 'encrypted', 'ffmpeg', 'protocol', 'testing'].map(entry => `${name}/${entry}`)]

/** What a command prints. Without the loaders of the test runner, so that Node sees the package as a host's Node does. */
async function run (cwd: string, command: string, ...args: readonly string[]): Promise<string> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const { stdout } = await runProgram(command, args, { cwd, env, timeout: 300_000 })
  return stdout
}

/** A host app inside this project's tree: it has the packed package, and finds the dependencies further up. */
const host = t.testdir({ 'package.json': '{}', node_modules: { 'fastify-chunked-upload': {} } })
const packed: string[] = []

t.before(async () => {
  const [tarball] = JSON.parse(await run(root, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', host))
  packed.push(...tarball.files.map(({ path }: { readonly path: string }) => path))
  await run(host, 'tar', '-xzf', tarball.filename, '--strip-components=1', '-C', 'node_modules/fastify-chunked-upload')
})

t.test('the package holds what is built of src/, once, the pages for users, and nothing else', async t => {
  const folder = join(root, 'src')
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const sources = found.filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
  const docs = (await readdir(join(root, 'docs'))).filter(page => page !== 'design.md').map(page => `docs/${page}`)
  t.ok(docs.length > 0)
  const expected = ['LICENSE', 'README.md', 'package.json', ...docs]
  const code = sources.map(source => `dist/commonjs/${source.replace(/ts$/, 'js')}`)
  const types = sources.map(source => `dist/commonjs/${source.replace(/(c?)ts$/, 'd.$1ts')}`)
  const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const doors = Object.values<{ readonly import?: { readonly default: string } }>(exports).flatMap(({ import: door }) => {
    return door === undefined ? [] : [door.default, door.default.replace(/js$/, 'd.ts')].map(path => path.replace('./', ''))
  })
  expected.push('dist/esm/package.json', 'dist/commonjs/package.json', ...code, ...doors)
  t.strictSame(packed.filter(path => !expected.includes(path) && !types.includes(path)), [], 'too much')
  t.strictSame(expected.filter(path => !packed.includes(path)), [], 'missing')
})

t.test('what a host imports is what it requires: errors of one are instances of the other', async t => {
  const answer = await run(host, process.execPath, '--input-type=module', '-e', `
    import { createRequire } from 'node:module'
    import * as imported from 'fastify-chunked-upload'
    const required = createRequire(import.meta.url)('fastify-chunked-upload')
    console.log(Object.keys(required).filter(name => imported[name] !== required[name]).length, imported.errors.InvalidOption !== undefined)
  `)
  t.equal(answer, '0 true\n')
})

for (const entry of entries) {
  t.test(`${entry} exports the same names to import and to require`, async t => {
    const names = 'Object.keys(entry).filter(name => !["__esModule", "module.exports"].includes(name)).sort()'
    const imported = await run(host, process.execPath, '--input-type=module', '-e',
      `import * as entry from '${entry}'; console.log(JSON.stringify(${names}))`)
    const required = await run(host, process.execPath, '--input-type=commonjs', '-e',
      `const entry = require('${entry}'); console.log(JSON.stringify(${names}))`)
    t.strictSame(JSON.parse(imported), JSON.parse(required))
    t.not(JSON.parse(required).length, 0)
  })
}

t.test('the entries are those that can be imported, and the main one stays small', async t => {
  const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const known = Object.keys(exports).filter(entry => entry !== './package.json').map(entry => entry.replace(/^\./, name))
  t.strictSame(known.sort(), [...entries, `${name}/types`].sort())
  for (const entry of known) await run(host, process.execPath, '--input-type=module', '-e', `await import('${entry}')`)
  const index = await readFile(join(root, 'src', 'index.ts'), 'utf8')
  const exported = [...index.matchAll(/\{([^}]*)\} from/g)].flatMap(([, names = '']) => names.split(','))
  t.ok(exported.length > 30 && exported.length <= 50, `${exported.length} names`)
})

t.test('an ESM host registers the packed plugin', async t => {
  const answer = await run(host, process.execPath, '--input-type=module', '-e', `
    import fastify from 'fastify'
    import chunkedUpload from 'fastify-chunked-upload'
    const app = fastify()
    await app.register(chunkedUpload, { prefix: '/uploads' })
    await app.ready()
    console.log(typeof chunkedUpload, typeof app.chunkedUpload, app.printRoutes().includes('uploads'))
    await app.close()
  `)
  t.equal(answer, 'function object true\n')
})

t.test('a CommonJS host registers the packed plugin', async t => {
  const answer = await run(host, process.execPath, '--input-type=commonjs', '-e', `
    const fastify = require('fastify')
    const { default: chunkedUpload } = require('fastify-chunked-upload')
    const app = fastify()
    app.register(chunkedUpload, { prefix: '/uploads' })
    app.ready().then(() => {
      console.log(typeof chunkedUpload, typeof app.chunkedUpload, app.printRoutes().includes('uploads'))
      return app.close()
    })
  `)
  t.equal(answer, 'function object true\n')
})
