// Prints the shape of src/ in numbers, and fails where it is not as it should be:
// circles of imports (types included), rooms of the engine that reach for others against the arrows, files above 300
// lines without a reason in their first line, functions of more than four parameters.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const MOST_LINES = 300
const MOST_PARAMETERS = 4

/** Rooms of src/engine/, and the rooms that each may import. What lies beside them in src/engine/ is open to all. */
const rooms = {
  records: ['checksum'],
  body: ['records', 'locking'],
  checksum: ['records', 'locking'],
  locking: ['records'],
  limits: ['records', 'locking', 'body'],
  durability: ['records', 'locking', 'checksum'],
  operations: ['records', 'body', 'checksum', 'locking', 'limits', 'durability']
}

/** What is still wrong, and printed without failing: each line goes with its mending. */
const known = new Set([
  // Busboy calls it with so many.
  'src/http/body/multipart.ts: a function'
])

/** Of the package, or of one that is given. */
const root = process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url))

/** @typedef {{ name: string, lines: string[], imports: string[], longParameterLists: string[] }} Source */

/** @returns {Source} */
function read (file) {
  const text = readFileSync(file, 'utf8')
  const imports = ts.preProcessFile(text, true, true).importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => nameOf(join(dirname(file), fileName.replace(/\.js$/, '.ts').replace(/\.cjs$/, '.cts'))))
  const longParameterLists = []
  const parsed = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const visit = node => {
    if (ts.isFunctionLike(node) && node.parameters.length > MOST_PARAMETERS) {
      longParameterLists.push(`${nameOf(file)}: ${node.name?.getText() ?? 'a function'}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(parsed)
  return { name: nameOf(file), lines: text.trimEnd().split('\n'), imports, longParameterLists }
}

function nameOf (file) {
  return relative(root, file).split(sep).join('/')
}

/** Groups of files that import each other in a circle (Tarjan's strongly connected components). */
function circlesOf (importsOf) {
  const seen = new Map()
  const open = []
  const circles = []
  const visit = name => {
    const state = { index: seen.size, low: seen.size, isOpen: true }
    seen.set(name, state)
    open.push(name)
    for (const next of importsOf.get(name) ?? []) {
      if (!importsOf.has(next)) continue
      const known = seen.get(next)
      if (known === undefined) state.low = Math.min(state.low, visit(next).low)
      else if (known.isOpen) state.low = Math.min(state.low, known.index)
    }
    if (state.low === state.index) {
      const circle = open.splice(open.indexOf(name))
      for (const one of circle) seen.get(one).isOpen = false
      if (circle.length > 1 || importsOf.get(name)?.includes(name)) circles.push(circle.sort())
    }
    return state
  }
  for (const name of importsOf.keys()) if (!seen.has(name)) visit(name)
  return circles
}

function roomOf (name) {
  return /^src\/engine\/(\w+)\//.exec(name)?.[1]
}

/** Imports between rooms of the engine that are against the arrows. */
function wrongWays (importsOf) {
  return [...importsOf].flatMap(([name, imports]) => {
    const from = roomOf(name)
    if (from === undefined) return []
    const allowed = rooms[from] ?? []
    return imports.filter(to => {
      const room = roomOf(to)
      return room !== undefined && room !== from && !allowed.includes(room)
    }).map(to => `${name} → ${to}`)
  })
}

function check () {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter(name => /\.c?ts$/.test(name)).map(name => read(join(root, 'src', name)))
  const importsOf = new Map(sources.map(({ name, imports }) => [name, imports]))
  const [longest] = [...sources].sort((one, other) => other.lines.length - one.lines.length)
  const failures = {
    'circles of imports, types included': circlesOf(importsOf).map(circle => circle.join(' ↔ ')),
    'imports between rooms of the engine against the arrows': wrongWays(importsOf),
    [`files above ${MOST_LINES} lines without a reason in the first line`]: sources
      .filter(({ lines }) => lines.length > MOST_LINES && !/^(?:\/\/|\/\*\*?) ./.test(lines[0]))
      .map(({ name, lines }) => `${name}: ${lines.length}`),
    [`functions of more than ${MOST_PARAMETERS} parameters`]: sources.flatMap(({ longParameterLists }) => longParameterLists)
  }
  const lines = sources.reduce((sum, source) => sum + source.lines.length, 0)
  console.log(`src/: ${sources.length} files, ${lines} lines; longest: ${longest.name}, ${longest.lines.length} lines`)
  for (const [what, found] of Object.entries(failures)) {
    console.log(`${what}: ${found.length}`)
    for (const one of found) console.log(`  ${one}${known.has(one) ? ' (known)' : ''}`)
    if (found.some(one => !known.has(one))) process.exitCode = 1
  }
}

check()
