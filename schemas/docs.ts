import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { type Table, tables } from './tables.js'

export interface DescribedOption {
  readonly name: string
  /** What it must be, as the message for a wrong value says. */
  readonly type: string
  readonly meaning: string
  readonly initial: string
}

/** What stands above the table of a factory. */
const TITLES: Readonly<Record<string, string>> = {
  chunkedUpload: 'The plugin: `app.register(chunkedUpload, options)`',
  contentRange: 'Protocol `contentRange(options)`',
  tus: 'Protocol `tus(options)`',
  resumableHttp: 'Protocol `resumableHttp(options)`',
  formAppend: 'Protocol `formAppend(options)`',
  chunkTasks: 'Protocol `chunkTasks(options)`',
  rawAppend: 'Protocol `rawAppend(options)`',
  ffmpeg: 'Joiner of `rawAppend`: `ffmpeg(options)`',
  diskStorage: 'Storage `diskStorage(options)`',
  encryptedStorage: 'Storage `encryptedStorage(storage, options)`',
  fileMetadata: 'Metadata `fileMetadata(options)`',
  fileLocks: 'Locks `fileLocks(options)`'
}

export type Described = ReadonlyMap<string, readonly DescribedOption[]>

/** The options of every table: what each may be is in the tables, its meaning and default are in the comments of the types. */
export function describeTables (): Described {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const files = tables.map(({ file }) => `${root}/${file}`)
  const { config } = ts.readConfigFile(`${root}/tsconfig.json`, ts.sys.readFile)
  const program = ts.createProgram(files, ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options)
  return new Map(tables.map(table => [table.of, describe(program, `${root}/${table.file}`, table)]))
}

/** The README with its table: the plugin's options, each in one sentence. */
export function readmeWith (described: Described, readme: string): string {
  const rows = (described.get('chunkedUpload') ?? []).map(({ name, initial, meaning }) => {
    const [sentence = ''] = /^.*?(?=\.(?: [A-Z]| drf:|$))/.exec(meaning) ?? []
    return `| \`${name}\` | ${cell(sentence)} | ${cell(initial)} |`
  })
  const table = ['| option | meaning | default |', '|---|---|---|', ...rows].join('\n')
  return readme.replace(/(<!-- options:start[^>]*-->\n).*?(\n<!-- options:end -->)/s, (_all, start, end) => `${start}${table}${end}`)
}

export function optionsPage (described: Described): string {
  const sections = [...described].map(([of, rows]) => {
    return [
      `## ${TITLES[of] ?? of}`, '', '| option | what it is | default | meaning |', '|---|---|---|---|',
      ...rows.map(({ name, type, initial, meaning }) => `| \`${name}\` | ${cell(type)} | ${cell(initial)} | ${cell(meaning)} |`), ''
    ].join('\n')
  })
  return [
    '<!-- Made by `npm run build:schemas` from schemas/tables.ts and the comments of the types: do not edit. -->',
    '# Options', '',
    'Every option of the plugin, of the protocols and of the adapters. A wrong value, or a name that does not exist, is refused with',
    '`FST_CHUNKED_UPLOAD_INVALID_OPTION` when the plugin registers or the factory is called. `undefined` stands for the default. Sizes',
    "are bytes. A duration is a number of milliseconds, or a number with a unit: `'90s'`, `'15m'`, `'12h'`, `'1d'`, `'1w'`. Options that",
    "a protocol shares with the plugin go before the plugin's.", '',
    ...sections
  ].join('\n')
}

function describe (program: ts.Program, file: string, { type, schema }: Table): readonly DescribedOption[] {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file)
  const declared = source?.statements.find(node => ts.isInterfaceDeclaration(node) && node.name.text === type)
  if (declared === undefined) throw new Error(`${file} has no interface ${type}`)
  return checker.getPropertiesOfType(checker.getTypeAtLocation(declared)).map(property => {
    const { name } = property
    const option = schema.properties[name]
    if (option === undefined) throw new Error(`${type}.${name} has no schema`)
    const tag = property.getJsDocTags(checker).find(tag => tag.name === 'default')
    const words = ts.displayPartsToString(property.getDocumentationComment(checker))
    return {
      name,
      type: String(option.message).replace(/^must be /, '').replace(/^milliseconds, or .* such as '90s', '12h', '1d'/, 'a duration'),
      meaning: words === '' && tag === undefined ? '' : plain(words),
      initial: schema.required?.includes(name) === true ? 'required' : shown(plain(ts.displayPartsToString(tag?.text)))
    }
  })
}

/** Without the links of TSDoc, on one line. */
function plain (text: string): string {
  return text.replace(/\{@link (\w+)\s*\}/g, '`$1`').replace(/\s+/g, ' ').trim()
}

/** A default that is a value in code. */
function shown (text: string): string {
  if (text === '') return '–'
  return /^(?:'[^']*'|\[[^\]]*\]|-?[\d_]+|0o\d+|true|false|null|\w+ => .*)$/.test(text) ? `\`${text}\`` : text
}

function cell (text: string): string {
  return text.replaceAll('|', '\\|')
}
