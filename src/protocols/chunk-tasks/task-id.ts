import { readUploadId } from '../../http/fields/upload-id.js'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-'
const TASK_ID = /^[A-Za-z0-9_-]{21}$/
/** A UUID of version 7 as 32 hex digits: its version and variant digits are known, so they need not be sent. */
const UPLOAD_ID = /^([\da-f]{12})7([\da-f]{3})([89ab])([\da-f]{15})$/
/** Bits after the variant's two. */
const TAIL_BITS = 62n

/** The id of an upload as this contract's 21 characters (as nanoid makes them); an id of another kind stays as it is. */
export function taskIdOf (uploadId: string): string {
  const [, time = '', random = '', variant = '', rest = ''] = UPLOAD_ID.exec(uploadId) ?? []
  if (variant === '') return uploadId
  const tail = BigInt(`0x${(parseInt(variant, 16) & 3).toString(16)}${rest}`)
  let value = (BigInt(`0x${time}${random}`) << TAIL_BITS) | tail
  let id = ''
  for (let digit = 0; digit < 21; digit++) {
    id = ALPHABET.charAt(Number(value & 63n)) + id
    value >>= 6n
  }
  return id
}

/** The upload of a task: its 21 characters, or the upload's own id, with dashes or in capitals too. Empty for what is neither. */
export function uploadIdOf (taskId: string): string {
  if (!TASK_ID.test(taskId)) return readUploadId(taskId)
  let value = 0n
  for (const digit of taskId) value = (value << 6n) | BigInt(ALPHABET.indexOf(digit))
  const head = (value >> TAIL_BITS).toString(16).padStart(15, '0')
  if (head.length > 15) return ''
  const tail = ((value & ((1n << TAIL_BITS) - 1n)) | (2n << TAIL_BITS)).toString(16)
  return `${head.slice(0, 12)}7${head.slice(12)}${tail}`
}
