import { readFile, readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { run as runProgram } from './support/child.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const entries = ['fastify-chunked-upload', 'fastify-chunked-upload/testing']

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

/** Files that the build makes of one source file, in one dialect. */
function built (source: string, dialect: string): string[] {
  const c = source.endsWith('.cts') ? 'c' : ''
  const stem = `dist/${dialect}/${source.replace(/\.c?ts$/, '')}`
  return [`${stem}.${c}js`, `${stem}.d.${c}ts`]
}

t.test('the package holds what is built of src/, the pages that the README leads to, and nothing else', async t => {
  const folder = join(root, 'src')
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const sources = found.filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
  const pages = [...(await readFile(join(root, 'README.md'), 'utf8')).matchAll(/\]\(((?:docs|bench)\/[\w./-]+)\)/g)].map(([, page = '']) => page)
  t.ok(pages.length > 1)
  const expected = ['LICENSE', 'README.md', 'package.json', ...pages]
  for (const dialect of ['esm', 'commonjs']) {
    expected.push(`dist/${dialect}/package.json`, ...sources.flatMap(source => built(source, dialect)))
  }
  t.strictSame(packed.filter(path => !expected.includes(path)), [], 'too much')
  t.strictSame(expected.filter(path => !packed.includes(path)), [], 'missing')
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
