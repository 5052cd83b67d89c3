import type { FastifyRequest } from 'fastify'
import { type BareItem, type Dictionary, parseDictionary, parseItem } from 'structured-headers'

/** What a field says; `too-large` is a number that a file cannot have. */
export type IntegerField = number | 'too-large' | undefined

/** A Boolean (RFC 9651); a field of another type counts as absent. */
export function booleanField (request: FastifyRequest, name: string): boolean | undefined {
  const value = bareItem(request, name)
  return typeof value === 'boolean' ? value : undefined
}

/** An Integer (RFC 9651), which has up to 15 digits; a field of another type, a Decimal for instance, counts as absent. */
export function integerField (request: FastifyRequest, name: string): IntegerField {
  const text = textOf(request, name) ?? ''
  if (/^ *\d{16,} *$/.test(text)) return 'too-large'
  const value = bareItem(request, name)
  return typeof value === 'number' && /^ *-?\d+ *(?:;|$)/.test(text) ? value : undefined
}

/** The members of a Dictionary that are Byte Sequences; a field that is none counts as absent. */
export function bytesFields (request: FastifyRequest, name: string): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>()
  for (const [key, [value]] of dictionary(request, name)) {
    if (value instanceof ArrayBuffer) found.set(key, new Uint8Array(value))
  }
  return found
}

/** The members of a Dictionary that are Integers. */
export function integerFields (request: FastifyRequest, name: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const [key, [value]] of dictionary(request, name)) {
    if (typeof value === 'number' && Number.isInteger(value)) found.set(key, value)
  }
  return found
}

function bareItem (request: FastifyRequest, name: string): BareItem | undefined {
  const text = textOf(request, name)
  return text === undefined ? undefined : ifParses(() => parseItem(text))?.[0]
}

function dictionary (request: FastifyRequest, name: string): Dictionary {
  const text = textOf(request, name)
  return (text === undefined ? undefined : ifParses(() => parseDictionary(text))) ?? new Map()
}

/** A field that comes several times is one list, as Node joins them. */
function textOf (request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name.toLowerCase()]
  return Array.isArray(value) ? value.join(', ') : value
}

function ifParses<T> (parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
