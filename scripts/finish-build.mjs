/**
 * Makes what tshy built lighter: the package has the code once, in CommonJS, and hosts that import it get ES modules of one line
 * which hand on the same classes. Two copies weighed twice as much, an ES module takes longer to load than a CommonJS one, and an
 * error made by one copy was no `instanceof` of the other. Comments and most of the indentation leave the JavaScript (`removeComments`
 * of tsc would take those of the declarations, too, which editors show); declarations leave that no public type mentions.
 */
import { createRequire } from 'node:module'
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const [esm, commonjs] = [join(root, 'dist/esm'), join(root, 'dist/commonjs')]
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const entries = Object.values(exports).filter(entry => typeof entry === 'object').map(({ import: { types } }) => {
  return relative(esm, resolve(root, types)).replace(/\.d\.ts$/, '')
})

const filesOf = folder => readdirSync(folder, { recursive: true }).map(name => join(folder, name)).filter(file => statSync(file).isFile())

for (const file of filesOf(commonjs).filter(name => /\.c?js$/.test(name))) {
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
    fileName: file,
    compilerOptions: { allowJs: true, removeComments: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS }
  })
  writeFileSync(file, narrowed(file, outputText))
}

/** Indented by one space instead of four, but for what stands in texts of several lines. */
function narrowed (file, code) {
  const source = ts.createSourceFile(file, code, ts.ScriptTarget.ES2022, true)
  const starts = source.getLineStarts()
  const inText = new Set()
  const visit = node => {
    if (ts.isTemplateExpression(node) || ts.isNoSubstitutionTemplateLiteral(node)) {
      const [first, last] = [node.getStart(), node.end].map(position => source.getLineAndCharacterOfPosition(position).line)
      for (let line = first + 1; line <= last; line++) inText.add(line)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return starts.map((start, line) => {
    const text = code.slice(start, starts[line + 1])
    return inText.has(line) ? text : text.replace(/^(?: {4})+/, spaces => ' '.repeat(spaces.length / 4))
  }).join('')
}

/** The declarations that those of the entries mention. */
const mentioned = new Set()
const open = entries.map(entry => join(commonjs, `${entry}.d.ts`))
for (let file = open.pop(); file !== undefined; file = open.pop()) {
  if (mentioned.has(file)) continue
  mentioned.add(file)
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/\b(?:from|import|require)\s*\(?\s*['"](\.[^'"]+)['"]/g)) {
    const next = resolve(dirname(file), name.replace(/\.(c?)js$/, '.d.$1ts'))
    // Samples in comments name files that are not there.
    if (existsSync(next)) open.push(next)
  }
}
for (const file of filesOf(commonjs).filter(name => /\.d\.c?ts$/.test(name))) if (!mentioned.has(file)) rmSync(file)

const require = createRequire(import.meta.url)
const kept = new Set([join(esm, 'package.json'), ...entries.flatMap(entry => [`${entry}.js`, `${entry}.d.ts`].map(name => join(esm, name)))])
for (const file of filesOf(esm)) if (!kept.has(file)) rmSync(file)
for (const entry of entries) {
  const real = `${'../'.repeat(entry.split('/').length)}commonjs/${entry}.js`
  const names = Object.keys(require(join(commonjs, `${entry}.js`)))
  const named = names.filter(name => name !== 'default').join(', ')
  const defaults = names.includes('default') ? ['export default all.default', `export { default } from '${real}'`] : []
  // Node finds names in CommonJS by reading it, but for `default`, which is the whole.
  writeFileSync(join(esm, `${entry}.js`), [
    `import all from '${real}'`, `export const { ${named} } = all`, ...defaults.slice(0, 1), ''
  ].join('\n'))
  writeFileSync(join(esm, `${entry}.d.ts`), [`export * from '${real}'`, ...defaults.slice(1), ''].join('\n'))
}
