import type { JsonObject } from '../../upload.js'
import { Refusal } from '../refusal.js'

interface TaskRefusalDetails {
  readonly facts?: JsonObject
  /** What clients of the contract's older days read in its place. @default the message */
  readonly text?: string
  /** @default the status */
  readonly textStatus?: number
}

/** A refusal of this contract: an ApiError, or the plain text of its older days. */
export class TaskRefusal extends Refusal {
  readonly text: string
  readonly textStatus: number

  constructor (statusCode: number, code: string, message: string, details: TaskRefusalDetails = {}) {
    super(statusCode, message, { code, facts: details.facts ?? {} })
    this.text = details.text ?? message
    this.textStatus = details.textStatus ?? statusCode
  }
}

export function unauthorized (): TaskRefusal {
  return new TaskRefusal(401, 'UNAUTHORIZED', 'Authentication is required.')
}

export function forbidden (message = 'You do not have permission to perform this action.', text = message): TaskRefusal {
  return new TaskRefusal(403, 'FORBIDDEN', message, { text })
}

/** @param size MiB, as they weigh @param limit MiB */
export function overQuota (size: number, limit: number): TaskRefusal {
  return forbidden(`File size ${size} MiB is exceeded the user's quota ${limit} MiB`)
}

export function badRequest (message: string): TaskRefusal {
  return new TaskRefusal(400, 'BAD_REQUEST', message)
}

export function uploadFailed (message: string): TaskRefusal {
  return new TaskRefusal(400, 'UPLOAD_FAILED', message)
}

export function unsupported (message: string): TaskRefusal {
  return new TaskRefusal(415, 'UNSUPPORTED_MEDIA_TYPE', message)
}

/** @param errors what is wrong, by the camel-case name of the field; `$` for the body as a whole */
export function invalid (errors: Readonly<Record<string, readonly string[]>>): TaskRefusal {
  const message = 'One or more validation errors occurred.'
  return new TaskRefusal(400, 'VALIDATION_ERROR', message, { facts: { errors }, text: Object.values(errors)[0]?.[0] ?? message })
}

export function notFound (resource: 'Pool' | 'Upload task' | 'Upload task metadata' | 'File'): TaskRefusal {
  return new TaskRefusal(404, 'NOT_FOUND', `The requested resource '${resource}' was not found.`, {
    facts: { detail: resource },
    ...resource === 'Pool' ? { text: 'Pool not found', textStatus: 400 } : { text: `${resource} not found.` }
  })
}
