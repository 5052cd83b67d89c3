import type { JsonObject } from '../../upload.js'

/** What this contract says of a request that it refuses: an ApiError, or the plain text of the contract's older days. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly detail?: string
  /** What is wrong with which field. */
  readonly errors?: Readonly<Record<string, readonly string[]>>
  readonly meta?: JsonObject
  /** Where the text style differs from `message`, or has another status. */
  readonly text?: string
  readonly textStatus?: number
}

/** A refusal that only this contract knows, worded where the rule stands. */
export class Refused extends Error {
  constructor (readonly problem: Problem) { super(problem.message) }
}

export function unauthorized (): Refused {
  return new Refused({ status: 401, code: 'UNAUTHORIZED', message: 'Authentication is required.' })
}

export function forbidden (message = 'You do not have permission to perform this action.', text = message): Refused {
  return new Refused({ status: 403, code: 'FORBIDDEN', message, text })
}

/** @param size MiB, as they weigh @param limit MiB */
export function overQuota (size: number, limit: number): Refused {
  return forbidden(`File size ${size} MiB is exceeded the user's quota ${limit} MiB`)
}

export function badRequest (message: string): Refused {
  return new Refused({ status: 400, code: 'BAD_REQUEST', message })
}

export function uploadFailed (message: string): Refused {
  return new Refused({ status: 400, code: 'UPLOAD_FAILED', message })
}

/** @param errors what is wrong, by the camel-case name of the field; `$` for the body as a whole */
export function invalid (errors: Readonly<Record<string, readonly string[]>>): Refused {
  const message = 'One or more validation errors occurred.'
  return new Refused({ status: 400, code: 'VALIDATION_ERROR', message, errors, text: Object.values(errors)[0]?.[0] ?? message })
}

export function notFound (resource: 'Pool' | 'Upload task' | 'Upload task metadata' | 'File'): Refused {
  return new Refused({
    status: 404,
    code: 'NOT_FOUND',
    message: `The requested resource '${resource}' was not found.`,
    detail: resource,
    ...resource === 'Pool' ? { text: 'Pool not found', textStatus: 400 } : { text: `${resource} not found.` }
  })
}
