import type { JsonObject } from '../upload.js'

export interface RefusalDetails {
  /** Names the rule, for contracts whose refusals carry a code. @default '' */
  readonly code?: string
  readonly headers?: Readonly<Record<string, string>>
  /** What the contract's body tells beside code and message. */
  readonly facts?: JsonObject
}

/** A rule that only this contract has, or an option of the protocol, forbids the request. The message says what to do. */
export class Refusal extends Error {
  readonly statusCode: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  readonly facts: JsonObject

  constructor (statusCode: number, message: string, { code = '', headers = {}, facts = {} }: RefusalDetails = {}) {
    super(message)
    this.statusCode = statusCode
    this.code = code
    this.headers = headers
    this.facts = facts
  }
}
