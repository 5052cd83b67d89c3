// The hooks of typescript.mjs, in a thread of their own. Types are removed here and checked by `npm run check`.
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const configFile = `${root}tsconfig.json`
const keptIn = `${root}.tap/typescript/`
const compiler = [`${root}node_modules/typescript/package.json`, configFile].map(file => readFileSync(file))

/** An import of `x.js` in TypeScript means `x.ts`, if that is there. */
export async function resolve (specifier, context, next) {
  if (/^\.{1,2}\/.*\.[cm]?js$/.test(specifier) && /\.[cm]?ts$/.test(context.parentURL)) {
    try {
      return await next(specifier.replace(/js$/, 'ts'), context)
    } catch (error) {
      if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    }
  }
  return next(specifier, context)
}

export async function load (url, context, next) {
  if (!/^file:[^?]*\.[cm]?ts$/.test(url)) return next(url, context)
  const format = url.endsWith('.cts') ? 'commonjs' : 'module'
  const file = fileURLToPath(url)
  const { source = readFileSync(file) } = await next(url, { ...context, format })
  return { format, source: await javascript(file, source), shortCircuit: true }
}

/** What `source`, the text of `file`, compiles to: as it was kept, or compiled now. */
async function javascript (file, source) {
  const name = relative(root, file)
  if (name.startsWith('..')) return compile(file, String(source))

  const sum = [...compiler, source].reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex')
  const place = keptIn + name.replaceAll('/', '+')
  const kept = textOf(place)
  if (kept?.startsWith(sum)) return kept.slice(sum.length)

  const compiled = await compile(file, String(source))
  mkdirSync(keptIn, { recursive: true })
  const partial = `${place}.${randomUUID()}`
  writeFileSync(partial, sum + compiled)
  renameSync(partial, place)
  return compiled
}

function textOf (file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

async function compile (fileName, source) {
  const { default: typescript } = await import('typescript')
  const { config } = typescript.readConfigFile(configFile, typescript.sys.readFile)
  const { options } = typescript.convertCompilerOptionsFromJson(config.compilerOptions, root)
  const { CommonJS, ESNext } = typescript.ModuleKind
  const module = fileName.endsWith('.cts') ? CommonJS : ESNext
  return typescript.transpileModule(source, {
    fileName, compilerOptions: { ...options, module, inlineSourceMap: true, inlineSources: true }
  }).outputText
}
