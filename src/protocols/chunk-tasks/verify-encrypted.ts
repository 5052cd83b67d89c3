import type { FastifyRequest } from 'fastify'
import { readForm } from '../../http/body/form.js'
import type { Caller } from '../contract.js'
import { askerOf } from './encryption.js'
import { FieldReader, text } from './fields.js'
import type { Mount, OpenTask } from './mount.js'
import { Refused } from './problem.js'
import { sizeOf } from './task.js'

/**
 * Completes a task whose file may be encrypted. The hash is that of the clear bytes. It has grown with chunks that came in order, to
 * servers that share the storage's `stateSecret`. Else the bytes have to be read again, and only the password can do that. It may come
 * with the completion, as JSON `{"encrypt_password": …}`.
 * @throws {Refused} the hash cannot be verified without the password
 */
export async function verifyEncrypted<T> (
  { uploads: { engine }, settings: { encryption } }: Mount, { upload, state }: OpenTask,
  { caller, request }: { readonly caller: Caller, readonly request: FastifyRequest }, work: () => Promise<T>
): Promise<T> {
  if (state.encryption === null || upload.checksum === null || engine.checksumOffset(upload) === sizeOf(upload)) return await work()
  const fields = new FieldReader(await readForm(request))
  const password = fields.optional('encrypt_password', text)
  fields.check()
  if (password === null || encryption === undefined) {
    throw new Refused({
      status: 400,
      code: 'HASH_NOT_VERIFIABLE',
      message: 'The hash of this encrypted file can only be verified with its password: send encrypt_password with the completion.'
    })
  }
  const file = await encryption.unlock(upload, password, askerOf(caller, request))
  return await encryption.using(file, work)
}
