import { InvalidOption } from './errors.js'
import { isObject, toMilliseconds } from './option-kinds.js'

export { faultOfProtocols, isMediaType, isObject, kinds, notCalled } from './option-kinds.js'

/** What a hook of the host may return: at once, or later. */
export type MaybePromise<T> = T | Promise<T>

/** Milliseconds, or a number with a unit: `'90s'`, `'15m'`, `'12h'`, `'1d'`, `'1w'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`

/** The duration in ms. @throws {InvalidOption} */
export function milliseconds (option: string, value: Duration): number {
  const ms = toMilliseconds(value)
  if (!Number.isSafeInteger(ms) || ms < 0) {
    throw new InvalidOption(option, "must be milliseconds, or a number with a unit such as '90s', '12h', '1d'")
  }
  return ms
}

/** The option `expirationDelta` in ms, null for never; `otherwise` where it is left out. */
export function lifetimeOf<T> (expirationDelta: Duration | null | undefined, otherwise: T): number | null | T {
  if (expirationDelta === undefined) return otherwise
  return expirationDelta === null ? null : milliseconds('expirationDelta', expirationDelta)
}

/** What an option must be: TypeBox compiles these from the tables in `schemas/`. */
export interface Rule {
  readonly holds: (value: unknown) => boolean
  /** As the message says it. */
  readonly text: string
  /** What the message says of this value instead. */
  readonly explain?: (value: unknown) => string | undefined
  /** The option has no default, so undefined is wrong. */
  readonly required?: boolean
}

/**
 * @param of what the options belong to, which stands before their names in messages; empty for the registration
 * @throws {InvalidOption} names the first option that cannot be used, unknown ones too
 */
export function checkByRules (of: string, options: unknown = {}, rules: Readonly<Record<string, Rule>>): void {
  if (!isObject(options)) throw new InvalidOption(of, 'must be given an object of options')
  const wrong = wrongOption(options, rules)
  if (wrong !== undefined) throw new InvalidOption(of === '' ? wrong.name : `${of}.${wrong.name}`, wrong.text)
}

function wrongOption (
  options: Readonly<Record<string, unknown>>, rules: Readonly<Record<string, Rule>>
): { readonly name: string, readonly text: string } | undefined {
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule === undefined) return { name, text: `does not exist; the options are ${Object.keys(rules).join(', ')}` }
    if (value !== undefined && !rule.holds(value)) return { name, text: rule.explain?.(value) ?? rule.text }
  }
  const missing = Object.entries(rules).find(([name, { required }]) => required === true && options[name] === undefined)
  return missing === undefined ? undefined : { name: missing[0], text: missing[1].text }
}
