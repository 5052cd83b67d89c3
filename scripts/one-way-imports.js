import { dirname, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * ESLint rule: inside src/, imports follow the arrows
 *
 *     plugin → protocols → engine → contracts ← adapters
 *
 * A part is a folder or a top-level file of src/; `contract` is contract.ts of any folder of adapters. Each part may
 * import itself and what its row names; a name with `type ` in front stands for `import type` only.
 *
 * Some parts have a door: from outside, nothing of them is imported but their index.ts.
 */
const allowed = {
  upload: [],
  'file-name': [],
  errors: ['upload'],
  'record-format': ['upload'],
  'option-kinds': [],
  'option-rules': ['option-kinds', 'upload', 'errors'],
  'options.rules': ['option-rules'],
  folders: ['errors'],
  'body-pace': ['errors'],
  contract: ['option-rules', 'upload', 'errors'],

  storage: ['contract', 'folders', 'option-rules', 'upload', 'errors'],
  metadata: ['contract', 'folders', 'record-format', 'option-rules', 'upload', 'errors'],
  locks: ['contract', 'folders', 'option-rules', 'upload', 'errors'],

  telemetry: [],
  engine: ['telemetry', 'contract', 'body-pace', 'file-name', 'record-format', 'option-rules', 'upload', 'errors'],
  http: ['body-pace', 'file-name', 'option-rules', 'upload', 'errors', 'type engine'],
  protocols: ['engine', 'http', 'body-pace', 'file-name', 'option-rules', 'upload', 'errors'],

  'host-uploads': ['engine', 'option-rules', 'upload', 'errors'],
  options: ['options.rules', 'protocols', 'http', 'engine', 'storage', 'metadata', 'locks', 'contract', 'option-rules', 'upload', 'errors'],
  'interval-job': [],
  ffmpeg: ['protocols', 'option-rules', 'errors'],
  'upload-types': ['options', 'engine', 'option-rules', 'errors'],
  'request-caller': ['options', 'upload-types', 'protocols', 'engine', 'option-rules', 'upload', 'errors'],
  plugin: ['options', 'host-uploads', 'request-caller', 'interval-job', 'protocols', 'http', 'engine', 'storage', 'metadata', 'locks', 'contract', 'option-rules', 'upload', 'errors'],
  testing: ['contract', 'option-rules', 'upload', 'errors'],
  index: ['plugin', 'host-uploads', 'options', 'protocols', 'http', 'engine', 'storage', 'metadata', 'locks', 'contract', 'upload', 'errors'],
  adapter: ['contract'],
  protocol: ['protocols', 'http', 'engine', 'upload', 'errors'],
  types: ['type options', 'type protocols', 'type engine', 'type http', 'type body-pace', 'type upload']
}

/** Parts with a door, and the tests that may look behind it. */
const doors = { engine: /^test\/(?:engine\/|support\/engine\.ts$)/ }

const root = fileURLToPath(new URL('..', import.meta.url))
const source = fileURLToPath(new URL('../src', import.meta.url))

/** The part that a file of src/ belongs to; undefined outside of src/. */
function partOf (file) {
  const [first, ...rest] = relative(source, file).split(sep)
  if (first === '..') return undefined
  if (rest.length === 0) return first.replace(/\.\w+$/, '')
  if (rest.length === 1 && first !== 'protocols' && /^contract\.\w+$/.test(rest[0])) return 'contract'
  return first
}

export default {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      forbidden: '{{from}} must not import {{to}}; it may import: {{allowed}}',
      door: 'import this from src/{{to}}/index.ts: what it does not export is for the inside',
      unknown: '{{from}} has no row in scripts/one-way-imports.js'
    }
  },
  create (context) {
    const from = partOf(context.filename)
    const file = relative(root, context.filename).split(sep).join('/')

    function check (node, specifier, typeOnly) {
      if (typeof specifier?.value !== 'string' || !specifier.value.startsWith('.')) return
      const target = resolve(dirname(context.filename), specifier.value)
      const to = partOf(target)
      if (to === from) return
      if (Object.hasOwn(doors, to ?? '') && !doors[to].test(file) && !/^index\.\w+$/.test(relative(`${source}/${to}`, target))) {
        context.report({ node, messageId: 'door', data: { to } })
      }
      if (from === undefined) return
      const row = allowed[from]
      if (row === undefined) {
        context.report({ node, messageId: 'unknown', data: { from } })
      } else if (!row.includes(to) && !(typeOnly && row.includes(`type ${to}`))) {
        const data = { from, to: to ?? specifier.value, allowed: row.join(', ') || 'nothing' }
        context.report({ node, messageId: 'forbidden', data })
      }
    }

    return {
      ImportDeclaration (node) { check(node, node.source, node.importKind === 'type') },
      ExportNamedDeclaration (node) { check(node, node.source, node.exportKind === 'type') },
      ExportAllDeclaration (node) { check(node, node.source, node.exportKind === 'type') },
      ImportExpression (node) { check(node, node.source, false) },
      TSImportType (node) { check(node, node.argument.literal ?? node.argument, true) }
    }
  }
}
