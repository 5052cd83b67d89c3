import { dirname, relative } from 'node:path/posix'
import { OptionalKind, type TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { KIND_PREFIX } from './kinds.js'
import type { Table } from './tables.js'

/** Where the compiled rules of a table stand. */
export const rulesFile = ({ file }: Table): string => `${dirname(file)}/options.rules.ts`

/** The module of a table: each option with the check that TypeBox compiles of its schema, and its words. */
export function rulesModule (table: Table): string {
  const rules = Object.entries<TSchema>(table.schema.properties).map(([name, schema]) => ruleOf(name, schema))
  const used = ['kinds', ...['faultOfProtocols', 'notCalled'].filter(name => rules.some(rule => rule.includes(`explain: ${name}`)))].sort()
  const code = rules.join(',\n')
  const imported = used.filter(name => code.includes(name))
  const from = relative(dirname(table.file), 'src/option-rules.js')
  return [
    '// Compiled from schemas/tables.ts by `npm run build:schemas`, so that no host loads TypeBox: do not edit.',
    ...imported.length === 0 ? [] : [`import { ${imported.join(', ')} } from '${from.startsWith('.') ? from : `./${from}`}'`, ''],
    'export const rules = {',
    code,
    '}',
    ''
  ].join('\n')
}

function ruleOf (name: string, schema: TSchema): string {
  const words = [
    ...schema[OptionalKind] === undefined ? ['required: true'] : [],
    ...typeof schema.explain === 'string' ? [`explain: ${schema.explain}`] : [],
    `text: ${JSON.stringify(schema.message)}`
  ]
  return `  ${name}: {\n    ${words.join(',\n    ')},\n    holds: ${checkOf(schema)}\n  }`
}

/** Source of the check of a value. */
function checkOf (schema: TSchema): string {
  const code = TypeCompiler.Code(schema, [], { language: 'typescript' })
    .replaceAll('const value: any of', 'const value of')
    .replace(new RegExp(`kind\\('${KIND_PREFIX}(\\w+)\\((.*?)\\)', \\d+, (\\w+|value\\['\\w+'\\])\\)`, 'g'), (_all, kind, given, value) => {
      return `kinds.${kind}(${[value, given.replaceAll('\\"', "'")].filter(Boolean).join(', ')})`
    })
  const single = /^return function check\(value: any\): boolean \{\n {2}return \(\n(.*)\n {2}\)\n\}$/s.exec(code)?.[1]
  if (single === undefined) throw new Error(`This is no single expression: ${code}`)
  return `(value: any): boolean => ${single.replace(/\s*\n\s*/g, ' ').trim()}`
}
