import { InvalidOption } from './errors.js'

/** What a hook of the host may return: at once, or later. */
export type MaybePromise<T> = T | Promise<T>

/** Milliseconds, or a number with a unit: `'90s'`, `'15m'`, `'12h'`, `'1d'`, `'1w'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The longest delay that a timer takes, about 24 days: beyond it setTimeout would fire at once. */
export const LONGEST_DELAY = 2 ** 31 - 1
/** Far enough to be no limit, near enough to be a date. */
const LONGEST_LIFE = 1000 * 365 * 86_400_000

/** Whole ms of a duration, NaN of anything else. */
function toMilliseconds (value: unknown): number {
  if (typeof value === 'number') return Math.round(value)
  const [, digits, unit = ''] = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(value) ?? [] : []
  return Math.round(Number(digits) * (UNITS[unit] ?? NaN))
}

const DURATION = "must be milliseconds, or a number with a unit such as '90s', '12h', '1d'"

/** The duration in ms. @throws {InvalidOption} */
export function milliseconds (option: string, value: Duration): number {
  const ms = toMilliseconds(value)
  if (!Number.isSafeInteger(ms) || ms < 0) throw new InvalidOption(option, DURATION)
  return ms
}

/** The option `expirationDelta` in ms, null for never; `otherwise` where it is left out. */
export function lifetimeOf<T> (expirationDelta: Duration | null | undefined, otherwise: T): number | null | T {
  if (expirationDelta === undefined) return otherwise
  return expirationDelta === null ? null : milliseconds('expirationDelta', expirationDelta)
}

/** What an option must be. */
export interface Rule {
  readonly holds: (value: unknown) => boolean
  /** As the message says it. */
  readonly text: string
  /** What the message says of this value instead. */
  readonly explain?: (value: unknown) => string | undefined
  /** The option has no default, so undefined is wrong. */
  readonly required?: boolean
}

/** A rule for each option of `Options`. */
export type Rules<Options> = Readonly<Record<keyof Options, Rule>>

export const boolean: Rule = { holds: value => typeof value === 'boolean', text: 'must be true or false' }
export const func: Rule = { holds: isFunction, text: 'must be a function' }
export const string: Rule = { holds: value => typeof value === 'string', text: 'must be a string' }
export const text: Rule = { holds: isText, text: 'must be a string that is not empty' }
/** Ending of a file on disk. */
export const ending: Rule = {
  holds: value => isText(value) && !/[/\\\0]/.test(value) && value !== '.location',
  text: "must be the ending of a file, such as '.part'; '.location' is taken"
}
export const url: Rule = {
  holds: value => typeof value === 'string' && URL.canParse(value) && /^https?:\/\/[^?#@]+$/.test(value),
  text: "must be an absolute URL of http or https, such as 'https://example.com/files'"
}
export const names = either('must be a name or a list of names', text, listOf(text, 1))

export function duration (least: number, most: number, besides: string): Rule {
  return {
    holds: value => toMilliseconds(value) >= least && toMilliseconds(value) <= most,
    text: `${DURATION}, ${least > 0 ? 'more than 0' : '0 or more'}, at most ${Math.floor(most / 86_400_000)} days${besides}`
  }
}

/** Of `expirationDelta`. */
export const lifetime = (least: number): Rule => or(null, duration(least, LONGEST_LIFE, '; null for never'))

/** ms of a timer. */
export const delay = (least: number): Rule => ({
  holds: value => typeof value === 'number' && value >= least && value <= LONGEST_DELAY,
  text: `must be milliseconds, ${least} or more, at most 24 days`
})

export const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Rule => ({
  holds: value => typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most,
  text: `must be a whole number, ${least} ${most === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${most}`}`
})

export const positive: Rule = { holds: value => Number.isFinite(value) && Number(value) > 0, text: 'must be a number more than 0' }

export const oneOf = (...values: readonly string[]): Rule => ({
  holds: value => typeof value === 'string' && values.includes(value),
  text: `must be ${values.map(value => `'${value}'`).join(' or ')}`
})

/** Of the algorithm of the whole-file checksum. */
export const checksumOf = (algorithms: readonly string[]): Rule => ({
  ...or(false, oneOf(...algorithms)),
  text: `must be false or one of ${algorithms.join(', ')}`
})

/** One media type, with parameters or without. */
export const mediaType: Rule = {
  holds: value => typeof value === 'string' && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;[ -~]*)?$/.test(value),
  text: "must be a media type, such as 'video/mp4'"
}

/** A list of media types, and of the wildcards that stand for several. */
export const mediaTypes = (...wildcards: readonly string[]): Rule => listOf({
  holds: value => isText(value) && (wildcards.includes(value) || /^[\w!#$&^.+-]+\/([\w!#$&^.+-]+|\*)$/.test(value)),
  text: "must be a list of media types, each 'type/subtype' or 'type/*'"
})

export function listOf (rule: Rule, least = 0): Rule {
  return { ...rule, holds: value => Array.isArray(value) && value.length >= least && value.every(rule.holds) }
}

export function or (value: unknown, rule: Rule): Rule {
  return { ...rule, holds: given => given === value || rule.holds(given) }
}

export function either (text: string, ...rules: readonly Rule[]): Rule {
  return { holds: value => rules.some(rule => rule.holds(value)), text }
}

export const required = (rule: Rule): Rule => ({ ...rule, required: true })

/** An object of options of its own. */
export const optionsOf = (rules: Readonly<Record<string, Rule>>, text: string): Rule => ({
  holds: value => isObject(value) && wrongOption(value, rules) === undefined,
  text
})

/** An object with these methods. */
export const adapter = (...methods: readonly string[]): Rule => ({
  holds: value => isObject(value) && methods.every(method => isFunction(value[method])),
  text: `must be an object with ${methods.join(', ')}`,
  explain: notCalled
})

/** The message for a function that was given instead of its result, such as `tus` instead of `tus()`. */
export function notCalled (value: unknown): string | undefined {
  if (typeof value !== 'function') return undefined
  return value.name === '' ? 'is a function: call it, and give its result' : `is the function ${value.name}: call it, as in ${value.name}()`
}

const ownStorage = adapter('create', 'write', 'finish', 'read', 'remove')
export const storage: Rule = {
  ...ownStorage,
  holds: value => ownStorage.holds(value) && isObject(value) && isObject(value.capabilities) &&
    (value.plan === undefined || isFunction(value.plan))
}

/** What every protocol can be given. */
export const mountRules = { name: text, prefix: string } as const

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

export function isFunction (value: unknown): boolean {
  return typeof value === 'function'
}

export function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

export function isObject (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
