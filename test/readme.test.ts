import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')

t.test('the commands of the README are scripts of the package', t => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const commands = [...read('README.md').matchAll(/npm (?:run )?(start|test|bench)\b/g)].map(match => match[1] ?? '')
  t.ok(commands.length > 2)
  for (const command of commands) t.ok(scripts[command], command)
  t.end()
})

t.test('the samples of the README compile, as strictly as a host may want', async t => {
  const { default: ts } = await import('typescript')
  const folder = fileURLToPath(new URL('..', import.meta.url))
  // What the samples leave to the host.
  const host = `
    import cors from '@fastify/cors'
    import Fastify, { type FastifyInstance } from 'fastify'
    import chunkedUpload, { type HostUploads } from 'fastify-chunked-upload'
    declare module 'fastify' { interface FastifyRequest { user?: { id: number } } interface FastifyContextConfig { rateLimit?: object } }
    declare const videos: { add (location: string, name: string, size: number): Promise<void> }
  `
  const samples = [...read('README.md').matchAll(/^```ts\n(.*?)^```/gsm)].map(([, sample = '']) => sample)
  t.ok(samples.length > 3)
  const files = new Map(samples.map((sample, number) => {
    const imported = new Set([...sample.matchAll(/^import (\w+)/gm)].map(match => match[1]))
    const rest = host.split('\n').map(line => {
      const name = /import (\w+)/.exec(line)?.[1]
      return name !== undefined && imported.has(name) ? line.replace(`import ${name}, {`, 'import {').replace(/^ *import \w+ from .*/, '') : line
    })
    const app = /const app\b/.test(sample) ? '' : 'declare const app: FastifyInstance'
    return [join(folder, 'test', `sample-${number}.mts`), [...rest, app, sample, 'export {}'].join('\n')]
  }))
  const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, folder)
  const compilerHost = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = compilerHost
  compilerHost.fileExists = name => files.has(name) || fileExists(name)
  compilerHost.getSourceFile = (name, ...rest) => {
    const text = files.get(name)
    return text === undefined ? getSourceFile(name, ...rest) : ts.createSourceFile(name, text, ts.ScriptTarget.ES2022)
  }
  const lenient = { ...options, noEmit: true, noUnusedLocals: false, noUnusedParameters: false }
  const program = ts.createProgram([...files.keys()], lenient, compilerHost)
  const problems = [...files.keys()].flatMap(name => [...program.getSemanticDiagnostics(program.getSourceFile(name)),
    ...program.getSyntacticDiagnostics(program.getSourceFile(name))])
  const said = problems.map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`)
  t.strictSame(said, [])
})
