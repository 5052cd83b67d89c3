/** What TypeBox has no kind for: checks of option values, by name in `schemas/kinds.ts`, called by the compiled rules. */

/** The longest delay that a timer takes, about 24 days: beyond it setTimeout would fire at once. */
export const LONGEST_DELAY = 2 ** 31 - 1

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** Whole ms of a duration, NaN of anything else. */
export function toMilliseconds (value: unknown): number {
  if (typeof value === 'number') return Math.round(value)
  const [, digits, unit = ''] = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(value) ?? [] : []
  return Math.round(Number(digits) * (UNITS[unit] ?? NaN))
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

/** One media type, with parameters or without. */
export function isMediaType (value: unknown): value is string {
  return typeof value === 'string' && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;[ -~]*)?$/.test(value)
}

/** The message for a function that was given instead of its result, such as `tus` instead of `tus()`. */
export function notCalled (value: unknown): string | undefined {
  if (typeof value !== 'function') return undefined
  return value.name === '' ? 'is a function: call it, and give its result' : `is the function ${value.name}: call it, as in ${value.name}()`
}

const hasMethods = (value: unknown, methods: readonly string[]): value is Readonly<Record<string, unknown>> => {
  return isObject(value) && methods.every(method => isFunction(value[method]))
}

/** Each kind, with what its schemas say of it. Members of objects may come from their class. */
export const kinds = {
  duration: (value: unknown, least: number, most: number) => toMilliseconds(value) >= least && toMilliseconds(value) <= most,
  infinity: (value: unknown) => value === Infinity,
  url: (value: unknown) => typeof value === 'string' && URL.canParse(value) && /^https?:\/\/[^?#@]+$/.test(value),
  /** Ending of a file on disk. */
  ending: (value: unknown) => isText(value) && !/[/\\\0]/.test(value) && value !== '.location',
  mediaType: isMediaType,
  /** A media type without parameters, or all of a kind. */
  mediaRange: (value: unknown) => isText(value) && /^[\w!#$&^.+-]+\/([\w!#$&^.+-]+|\*)$/.test(value),
  methods: (value: unknown, ...methods: readonly string[]) => hasMethods(value, methods),
  storage: (value: unknown) => hasMethods(value, ['create', 'write', 'finish', 'read', 'remove']) && isObject(value.capabilities) &&
    (value.plan === undefined || isFunction(value.plan)),
  joiner: (value: unknown) => hasMethods(value, ['join']) && Number(value.jobs) >= 1,
  bodyHash: (value: unknown) => hasMethods(value, ['create']) && typeof value.name === 'string' && /^[a-z0-9-]+$/.test(value.name) &&
    Number.isSafeInteger(value.length) && Number(value.length) >= 1,
  secret: (value: unknown) => (value instanceof Uint8Array || typeof value === 'string') && Buffer.from(value).length >= 32,
  powerOfTwo: (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 2 && Number.isInteger(Math.log2(Number(value))),
  without: (value: unknown, ...members: readonly string[]) => isObject(value) && !members.some(name => name in value),
  protocols: (value: unknown) => faultOfProtocols(value) === undefined
}

const PROTOCOLS = 'must be a list of protocols, such as [contentRange()]'

/** What is wrong with a list of protocols, and what to do about it; undefined where nothing is. */
export function faultOfProtocols (value: unknown): string | undefined {
  if (isProtocol(value)) return 'must be a list of protocols: put brackets around it, as in [tus()]'
  if (!Array.isArray(value) || value.length === 0) return notCalled(value) ?? `${PROTOCOLS}, each with a name of its own`
  const names = new Set<string>()
  for (const [at, one] of value.entries()) {
    if (!isProtocol(one)) {
      const fault = notCalled(one)
      return fault === undefined ? `${PROTOCOLS}: item ${at} has no name, prefix and register` : `has an item that ${fault}`
    }
    if (names.has(one.name)) {
      const other = `another name and prefix, as in { name: '${one.name}2', prefix: '/${one.name}2' }`
      return `has two protocols with the name "${one.name}", which uploads keep: give one of them ${other}`
    }
    names.add(one.name)
  }
  return undefined
}

function isProtocol (value: unknown): value is { readonly name: string } {
  return hasMethods(value, ['register']) && isText(value.name) && typeof value.prefix === 'string'
}
