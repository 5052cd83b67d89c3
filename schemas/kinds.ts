import { Kind, type TObject, type TSchema, Type, TypeRegistry } from '@sinclair/typebox'
import { LONGEST_DELAY, kinds } from '../src/option-kinds.js'

/** Far enough to be no limit, near enough to be a date. */
const LONGEST_LIFE = 1000 * 365 * 86_400_000
const DURATION = "must be milliseconds, or a number with a unit such as '90s', '12h', '1d'"

/** Of the kinds that TypeBox gets from us: its registry is global. */
export const KIND_PREFIX = 'chunkedUpload:'

/** A schema of one of `kinds`; what it is given besides the value is in the kind's name, so that compiled code has it. */
function kind (name: keyof typeof kinds, given: readonly unknown[], message: string, more: object = {}): TSchema {
  const named = `${KIND_PREFIX}${name}(${given.map(one => JSON.stringify(one)).join(', ')})`
  TypeRegistry.Set(named, (_schema, value) => Reflect.apply(kinds[name], undefined, [value, ...given]))
  return Type.Unsafe({ [Kind]: named, message, ...more })
}

export const worded = (schema: TSchema, message: string): TSchema => ({ ...schema, message })

export const boolean = Type.Boolean({ message: 'must be true or false' })
export const func = worded(Type.Function([], Type.Unknown()), 'must be a function')
export const string = Type.String({ message: 'must be a string' })
export const text = Type.String({ minLength: 1, message: 'must be a string that is not empty' })
export const ending = kind('ending', [], "must be the ending of a file, such as '.part'; '.location' is taken")
export const url = kind('url', [], "must be an absolute URL of http or https, such as 'https://example.com/files'")
export const mediaType = kind('mediaType', [], "must be a media type, such as 'video/mp4'")

/** One of several kinds of value. */
export const either = (message: string, ...schemas: readonly TSchema[]): TSchema => Type.Union([...schemas], { message })

/** A value apart from what the schema takes, which its message tells of already. */
export function or (value: null | false | '' | typeof Infinity, schema: TSchema): TSchema {
  const alone = value === null ? Type.Null() : value === Infinity ? kind('infinity', [], '') : Type.Literal(value)
  return either(schema.message, alone, schema)
}

export const listOf = (schema: TSchema, minItems = 0): TSchema => Type.Array(schema, { minItems, message: schema.message })
export const names = either('must be a name or a list of names', text, listOf(text, 1))

export function duration (least: number, most = LONGEST_DELAY, besides = ''): TSchema {
  const range = `${least > 0 ? 'more than 0' : '0 or more'}, at most ${Math.floor(most / 86_400_000)} days`
  return kind('duration', [least, most], `${DURATION}, ${range}${besides}`)
}

/** Of `expirationDelta`. */
export const lifetime = (least: number): TSchema => or(null, duration(least, LONGEST_LIFE, '; null for never'))

/** ms of a timer. */
export const delay = (minimum: number): TSchema => Type.Number({
  minimum, maximum: LONGEST_DELAY, message: `must be milliseconds, ${minimum} or more, at most 24 days`
})

export const whole = (minimum: number, maximum = Number.MAX_SAFE_INTEGER): TSchema => Type.Integer({
  minimum, maximum, message: `must be a whole number, ${minimum} ${maximum === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${maximum}`}`
})

export const positive = Type.Number({ exclusiveMinimum: 0, message: 'must be a number more than 0' })

export function oneOf (...values: readonly string[]): TSchema {
  return either(`must be ${values.map(value => `'${value}'`).join(' or ')}`, ...values.map(value => Type.Literal(value)))
}

/** Of the algorithm of the whole-file checksum. */
export const checksumOf = (algorithms: readonly string[]): TSchema => {
  return worded(or(false, oneOf(...algorithms)), `must be false or one of ${algorithms.join(', ')}`)
}

/** A list of media types, and of the wildcards that stand for several. */
export function mediaTypes (...wildcards: readonly string[]): TSchema {
  const message = "must be a list of media types, each 'type/subtype' or 'type/*'"
  return listOf(either(message, ...wildcards.map(one => Type.Literal(one)), kind('mediaRange', [], message)))
}

/** An object with these methods, which may be its class's. */
export const adapter = (...methods: readonly string[]): TSchema => {
  return kind('methods', methods, `must be an object with ${methods.join(', ')}`, { explain: 'notCalled' })
}

export const storage = kind('storage', [], 'must be an object with create, write, finish, read, remove', { explain: 'notCalled' })
export const joiner = kind('joiner', [], 'must be ffmpeg(), or an object with jobs and join')
export const bodyHash = kind('bodyHash', [], '')
export const secret = kind('secret', [], 'must be 32 bytes or more, as a string or a Uint8Array')
export const powerOfTwo = kind('powerOfTwo', [], '')
export const without = (members: readonly string[]): TSchema => kind('without', members, '')
export const protocols = kind(
  'protocols', [], 'must be a list of protocols, such as [contentRange()], each with a name of its own', { explain: 'faultOfProtocols' }
)

/** What every protocol can be given. */
export const mount = { name: text, prefix: string } as const

/** An object of options of its own. */
export function optionsOf (properties: Readonly<Record<string, TSchema>>, required: readonly string[] = []): TObject {
  const optional = Object.entries(properties).map(([name, schema]) => [name, required.includes(name) ? schema : Type.Optional(schema)])
  return Type.Object(Object.fromEntries(optional), { additionalProperties: false })
}
