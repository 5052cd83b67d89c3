import { fileURLToPath } from 'node:url'
import { ESLint } from 'eslint'
import { plugins } from 'neostandard'
import t from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))
// The files of these tests are not there, so that rules which ask the type checker cannot look at them.
const { disableTypeChecked } = plugins['typescript-eslint'].configs
const eslint = new ESLint({ cwd: root, overrideConfig: [{ files: ['**/*.ts'], ...disableTypeChecked }] })

async function problems (file: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code + '\n', { filePath: `${root}/${file}` })
  return result?.messages.map(({ ruleId, message }) => ruleId ?? message) ?? []
}

const forbidden: ReadonlyArray<readonly [file: string, specifier: string]> = [
  ['src/upload.ts', './errors.js'],
  ['src/errors.ts', './engine/upload-engine.js'],
  ['src/option-rules.ts', './engine/checksum/running-checksum.js'],
  ['src/option-rules.ts', './options.js'],
  ['src/storage/contract.ts', '../engine/upload-engine.js'],
  ['src/metadata/contract.ts', './file/index.js'],
  ['src/storage/disk/index.ts', '../../engine/upload-engine.js'],
  ['src/storage/disk/index.ts', '../../metadata/file/index.js'],
  ['src/storage/disk/index.ts', '../../options.js'],
  ['src/metadata/file/index.ts', '../../storage/disk/index.js'],
  ['src/locks/memory.ts', '../http/body/raw-body.js'],
  ['src/engine/upload-engine.ts', '../http/body/raw-body.js'],
  ['src/engine/upload-engine.ts', '../protocols/content-range/index.js'],
  ['src/engine/upload-engine.ts', '../storage/disk/index.js'],
  ['src/engine/upload-engine.ts', '../metadata/memory.js'],
  ['src/engine/upload-engine.ts', '../locks/memory.js'],
  ['src/engine/upload-engine.ts', '../options.js'],
  ['src/engine/upload-engine.ts', '../plugin.js'],
  ['src/engine/upload-engine.ts', '../../test/support/requires.js'],
  ['src/http/body/raw-body.ts', '../../engine/upload-engine.js'],
  ['src/http/body/raw-body.ts', '../../protocols/content-range/index.js'],
  ['src/http/body/raw-body.ts', '../../storage/disk/index.js'],
  ['src/protocols/content-range/index.ts', '../../storage/disk/index.js'],
  ['src/protocols/tus/patch.ts', '../../metadata/file/index.js'],
  ['src/protocols/tus/patch.ts', '../../plugin.js'],
  ['src/protocols/content-range/index.ts', '../../index.js'],
  ['src/options.ts', './plugin.js'],
  ['src/plugin.ts', './index.js'],
  ['src/plugin.ts', './testing/index.js'],
  ['src/testing/storage/suite.ts', '../../plugin.js'],
  ['src/testing/storage/suite.ts', '../../storage/disk/index.js'],
  ['src/index.ts', './testing/index.js'],
  ['src/index.ts', './ffmpeg/index.js'],
  ['src/adapter.ts', './storage/disk/index.js'],
  ['src/types.ts', './plugin.js']
]

for (const [file, specifier] of forbidden) {
  t.test(`${file} must not import ${specifier}`, async t => {
    for (const code of [
      `import '${specifier}'`,
      `export * from '${specifier}'`,
      `export { a } from '${specifier}'`,
      `export const a = await import('${specifier}')`
    ]) t.ok((await problems(file, code)).includes('project/one-way-imports'), code)
  })
}

const permitted: ReadonlyArray<readonly [file: string, specifier: string]> = [
  ['src/index.ts', './plugin.js'],
  ['src/plugin.ts', './protocols/content-range/index.js'],
  ['src/plugin.ts', './storage/disk/index.js'],
  ['src/protocols/content-range/index.ts', '../../engine/index.js'],
  ['test/hosts/users.test.ts', '../../src/engine/index.js'],
  ['test/engine/body/body-reader.test.ts', '../../../src/engine/body/body-reader.js'],
  ['src/protocols/tus/patch.ts', '../../http/body/raw-body.js'],
  ['src/protocols/tus/patch.ts', './headers.js'],
  ['src/engine/upload-engine.ts', '../storage/contract.js'],
  ['src/engine/upload-engine.ts', './worker-url.cjs'],
  ['src/storage/disk/index.ts', '../contract.js'],
  ['src/storage/disk/index.ts', '../../errors.js'],
  ['src/storage/disk/index.ts', '../../option-rules.js'],
  ['src/protocols/tus/options.ts', '../../option-rules.js'],
  ['src/options.ts', './option-rules.js'],
  ['src/testing/storage/suite.ts', '../../storage/contract.js'],
  ['test/storage/disk.ts', '../../src/storage/disk/index.js']
]

for (const [file, specifier] of permitted) {
  t.test(`${file} may import ${specifier}`, async t => {
    t.strictSame(await problems(file, `export { a } from '${specifier}'`), [])
  })
}

t.test('the engine has one door', async t => {
  for (const [file, specifier] of [
    ['src/protocols/tus/patch.ts', '../../engine/body/body-digest.js'],
    ['src/protocols/tus/patch.ts', '../../engine/upload-engine.js'],
    ['src/plugin.ts', './engine/caller.js'],
    ['src/index.ts', './engine/records/index.js'],
    ['test/hosts/users.test.ts', '../../src/engine/upload-engine.js'],
    ['bench/run.ts', '../src/engine/body/body-reader.js']
  ] as const) {
    for (const kind of ['', 'type ']) {
      t.strictSame(await problems(file, `export ${kind}{ a } from '${specifier}'`), ['project/one-way-imports'], `${file}: ${specifier}`)
    }
  }
})

t.test('http may know the types of the engine, and nothing else of it', async t => {
  t.strictSame(await problems('src/http/body/raw-body.ts', "export type { A } from '../../engine/index.js'"), [])
  const code = "import type { A } from '../../engine/index.js'\nexport type B = A"
  t.strictSame(await problems('src/http/body/raw-body.ts', code), [])
})

t.test('a type import does not get around an arrow', async t => {
  const upwards = "export type { A } from '../http/body/raw-body.js'"
  t.strictSame(await problems('src/engine/upload-engine.ts', upwards), ['project/one-way-imports'])
  t.match(await problems('src/engine/upload-engine.ts', "export type A = import('../plugin.js').A"), {
    length: 2, 1: 'project/one-way-imports'
  })
})

t.test('a new part of src/ has to be given its place', async t => {
  t.strictSame(await problems('src/reports/list.ts', "export { a } from '../upload.js'"), ['project/one-way-imports'])
})

t.test('engine and adapters know no HTTP', async t => {
  for (const file of ['src/engine/upload-engine.ts', 'src/storage/disk/index.ts', 'src/metadata/file/index.ts', 'src/locks/memory.ts']) {
    t.strictSame(await problems(file, "export { default } from 'fastify'"), ['no-restricted-imports'], file)
  }
})

t.test('an entry only exports', async t => {
  t.strictSame(await problems('src/index.ts', "export { a } from './plugin.js'\nexport type { B } from './upload.js'"), [])
  t.strictSame(await problems('src/index.ts', 'export const a = 1'), ['no-restricted-syntax'])
  for (const entry of ['adapter', 'types', 'testing/index']) {
    t.strictSame(await problems(`src/${entry}.ts`, 'console.log(1)'), ['no-restricted-syntax'], entry)
  }
})

t.test('what a test waits for has a deadline', async t => {
  for (const [code, rule] of [
    ["export const a = await fetch('http://127.0.0.1')", 'no-restricted-globals'],
    ["export { request } from 'node:http'", '@typescript-eslint/no-restricted-imports'],
    ["import net from 'node:net'\nexport const a = net", '@typescript-eslint/no-restricted-imports'],
    ["export { connect } from 'node:http2'", '@typescript-eslint/no-restricted-imports'],
    ["export { once } from 'node:events'", '@typescript-eslint/no-restricted-imports'],
    ["export { execFileSync } from 'node:child_process'", '@typescript-eslint/no-restricted-imports'],
    ["import { spawn } from 'node:child_process'\nexport const a = spawn('node', ['a.js'], { stdio: 'pipe' })", 'no-restricted-syntax'],
    ["import { page } from './page.js'\nawait page.evaluate('1')", 'no-restricted-syntax']
  ] as const) {
    for (const file of ['test/http/form.test.ts', 'test/support/server.ts']) {
      t.strictSame(await problems(file, code), [rule], `${file}: ${code}`)
    }
  }
  t.strictSame(await problems('test/a.test.ts', "import type http from 'node:http'\nexport type A = http.Agent"), [])
})

t.test('the language is kept safe: no any, no non-null assertion, no comment that silences', async t => {
  t.strictSame(await problems('src/engine/a.ts', 'export const a = (b: any) => b'), ['@typescript-eslint/no-explicit-any'])
  t.strictSame(await problems('src/engine/a.ts', 'export const a = (b?: string) => b!'), ['@typescript-eslint/no-non-null-assertion'])
  // Nothing is silenced here: this text is what the linter must refuse.
  t.strictSame(await problems('src/engine/a.ts', '// @ts-ignore\nexport const a = 1'), ['@typescript-eslint/ban-ts-comment'])
  // Nor here: the linter must not listen to this text.
  const silenced = '// eslint-disable-next-line\nexport const a = (b: any) => b'
  t.ok((await problems('src/engine/a.ts', silenced)).includes('@typescript-eslint/no-explicit-any'))
})
