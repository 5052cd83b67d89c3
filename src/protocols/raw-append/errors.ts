import { StorageFull, UploadNotFound } from '../../errors.js'
import { type ErrorTable, when } from '../error-answer.js'
import { Refusal } from '../refusal.js'

/** A body without a byte. */
export function noData (): Refusal {
  return new Refusal(400, 'No video data provided')
}

export const errors: ErrorTable = {
  rows: [
    when(UploadNotFound, { statusCode: 404, message: 'Video not found' }),
    when(StorageFull, { headers: { 'retry-after': '1' } })
  ],
  body: ({ message }) => ({ body: { error: message } })
}
