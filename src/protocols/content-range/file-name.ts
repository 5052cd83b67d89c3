import { cleanFileName } from '../../file-name.js'
import type { Chunk } from './request-chunk.js'
import { refuse } from './errors.js'

const MAX_CHARACTERS = 255

/** The name of a file whose request tells none. */
const NAMELESS = 'upload'

/** The name, as the client wrote it, as far as it is known before the bytes are read. @throws {Refusal} */
export function earlyName ({ fields, filename }: Chunk): string {
  return checked(fields.get('filename') ?? (cleanFileName(filename) === '' ? NAMELESS : filename))
}

/** The name that a field after the bytes gives, as written; undefined where it is known already. @throws {Refusal} */
export function lateName ({ fields }: Chunk, knownBefore: boolean, required: boolean): string | undefined {
  const given = fields.get('filename')
  if (given === undefined && required) throw refuse({ filename: ['This field is required.'] })
  return given === undefined || knownBefore ? undefined : checked(given)
}

function checked (told: string): string {
  const name = cleanFileName(told)
  if (name === '') throw refuse({ filename: ['This field may not be blank.'] })
  // Counted as Python does: by code points.
  if ([...name].length > MAX_CHARACTERS) {
    throw refuse({ filename: [`Ensure this field has no more than ${MAX_CHARACTERS} characters.`] })
  }
  return told
}
