import { readFileSync } from 'node:fs'
import { describeTables, optionsPage, readmeWith } from './docs.js'
import { rulesFile, rulesModule } from './rules.js'
import { tables } from './tables.js'

/** Every file that is made of the tables, with its content; of the README its table of options. */
export function generated (): ReadonlyMap<string, string> {
  const described = describeTables()
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  return new Map([
    ...tables.map(table => [rulesFile(table), rulesModule(table)] as const),
    ['docs/options.md', optionsPage(described)],
    ['README.md', readmeWith(described, readme)]
  ])
}
