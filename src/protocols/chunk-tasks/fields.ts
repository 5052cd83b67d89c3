import { readUploadId, uuidOf } from '../../http/fields/upload-id.js'
import { invalid } from './refusals.js'

/** A small body as {@link readForm} gives it. */
type Fields = Readonly<Record<string, unknown>>

/** Reads the fields of a body in turn, in snake_case or camelCase, and tells at the end of all that are wrong. */
export class FieldReader {
  readonly #body: Fields
  readonly #errors: Record<string, string[]> = {}

  constructor (body: Fields) { this.#body = body }

  /** @returns null when the field is not given, or wrong */
  optional<T> (name: string, kind: FieldKind<T>): T | null {
    const camel = camelCase(name)
    const value = this.#body[name] ?? this.#body[camel]
    if (value === undefined || value === null) return null
    const read = kind.read(value)
    if (read === undefined) this.#errors[camel] = [`The ${camel} field must be ${kind.words}.`]
    return read ?? null
  }

  required<T> (name: string, kind: FieldKind<T>, otherwise: T): T {
    const value = this.optional(name, kind)
    if (value === null) this.#errors[camelCase(name)] ??= [`The ${camelCase(name)} field is required.`]
    return value ?? otherwise
  }

  /** @throws {TaskRefusal} */
  check (): void {
    if (Object.keys(this.#errors).length > 0) throw invalid(this.#errors)
  }
}

interface FieldKind<T> {
  readonly words: string
  /** Undefined for what is none. */
  read (value: unknown): T | undefined
}

/** Characters: what is longer is no name, type or password, and each record of a list would carry it. */
const LONGEST_TEXT = 4096

export const text: FieldKind<string> = {
  words: `a string of up to ${LONGEST_TEXT} characters`,
  read: value => typeof value === 'string' && value.length <= LONGEST_TEXT ? value : undefined
}

/** Bytes. */
export const size: FieldKind<number> = {
  words: 'a whole number, 0 or more',
  read: value => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

export const count: FieldKind<number> = {
  words: 'a whole number above 0',
  read: value => size.read(value) === 0 ? undefined : size.read(value)
}

/** With dashes or as 32 hex digits; read as lower-case with dashes. */
export const uuid: FieldKind<string> = {
  words: 'a UUID',
  read: value => {
    const isUuid = typeof value === 'string' && /^[\da-f]{8}(-?)(?:[\da-f]{4}\1){3}[\da-f]{12}$/i.test(value)
    return isUuid ? uuidOf(readUploadId(value)) : undefined
  }
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/i

/** ISO 8601, in UTC where it names no zone; read as milliseconds and `Z`. */
export const time: FieldKind<string> = {
  words: 'an ISO 8601 time',
  read: value => {
    const [whole, zone] = typeof value === 'string' ? TIME.exec(value) ?? [] : []
    if (whole === undefined) return undefined
    const parsed = new Date(zone === undefined && whole.length > 10 ? `${whole}Z` : whole)
    return Number.isNaN(parsed.getTime()) ? undefined : parsed.toISOString()
  }
}

function camelCase (name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}
