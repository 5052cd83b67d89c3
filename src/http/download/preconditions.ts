import type { IncomingHttpHeaders } from 'node:http'
import fresh from 'fresh'

/** What identifies the bytes that a GET would answer. */
export interface Validators {
  /** Strong, with its quotes. */
  readonly etag: string
  /** ms since 1970; the second it falls in is what the header can say. */
  readonly modifiedAt: number
}

/** `Last-Modified` of a time in ms. */
export function httpDate (time: number): string {
  return new Date(time).toUTCString()
}

/**
 * What the conditions of a GET or HEAD come to, in the order of RFC 9110, section 13.2.2: `412` a precondition failed, `304` the client has
 * these bytes already, undefined to go on.
 */
export function checkPreconditions (headers: IncomingHttpHeaders, validators: Validators): 304 | 412 | undefined {
  const match = headers['if-match']
  const unmodifiedSince = headers['if-unmodified-since']
  if (match !== undefined) {
    if (match.trim() !== '*' && !match.split(',').some(tag => tag.trim() === validators.etag)) return 412
  } else if (unmodifiedSince !== undefined && seconds(validators.modifiedAt) > seconds(Date.parse(unmodifiedSince))) return 412
  return fresh(headers, { etag: validators.etag, 'last-modified': httpDate(validators.modifiedAt) }) ? 304 : undefined
}

/**
 * True when a Range holds: without If-Range always, else only when it names exactly these bytes (RFC 9110, section 13.1.5). A date
 * does so when it is at least a second old, as bytes may change twice within one.
 */
export function rangeHolds (headers: IncomingHttpHeaders, { etag, modifiedAt }: Validators, now = Date.now()): boolean {
  const ifRange = headers['if-range']
  if (typeof ifRange !== 'string') return true
  const value = ifRange.trim()
  if (value.startsWith('"') || value.startsWith('W/')) return value === etag
  return seconds(Date.parse(value)) === seconds(modifiedAt) && seconds(now) > seconds(modifiedAt)
}

/** A date that cannot be read gives NaN, which no comparison holds for. */
function seconds (ms: number): number {
  return Math.floor(ms / 1000)
}
