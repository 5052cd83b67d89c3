import {
  type KeyObject, createPrivateKey, createPublicKey, diffieHellman, generateKeyPair, hkdfSync, randomBytes, scrypt, timingSafeEqual
} from 'node:crypto'
import { promisify } from 'node:util'
import { PasswordWrong } from '../../errors.js'
import type { JsonObject, JsonValue } from '../../upload.js'
import { type PasswordAsker, PasswordTurns } from './password-checks.js'

/** What is kept of a password: enough to encrypt for it, not enough to decrypt. */
export type Seal = JsonObject & {
  /** For changes of the format. */
  readonly version: 1
  /** Base64. */
  readonly salt: string
  /** Parameters of scrypt (RFC 7914). */
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  /** X25519 (RFC 7748), base64: its private half comes out of the password. */
  readonly publicKey: string
  /** Bytes. */
  readonly segmentSize: number
}

export interface ScryptCost {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
}

export function sealOf (value: JsonValue | undefined): Seal | undefined {
  return value !== undefined && isSeal(value) ? value : undefined
}

function isSeal (value: JsonValue): value is Seal {
  return typeof value === 'object' && value !== null && 'publicKey' in value && 'segmentSize' in value && 'salt' in value &&
    'version' in value && value.version === 1
}

/** A password, and the client that has it checked. */
export interface Password {
  readonly password: string
  readonly asker: PasswordAsker | undefined
}

/** Slow on purpose, in a thread of the pool. @throws {TooManyPasswords} {@link ClientGone} */
export async function newSeal (
  { password, asker }: Password, { segmentSize, ...cost }: ScryptCost & Pick<Seal, 'segmentSize'>
): Promise<Seal> {
  const salt = randomBytes(16)
  const { publicKey } = await keyPairOf({ password, asker }, salt, cost)
  return { version: 1, salt: salt.toString('base64'), ...cost, publicKey: rawOf(publicKey).toString('base64'), segmentSize }
}

/** The private key of a seal. @throws {PasswordWrong} {@link TooManyPasswords} {@link ClientGone} */
export async function openSeal (seal: Seal, password: Password): Promise<KeyObject> {
  const { privateKey, publicKey } = await keyPairOf(password, Buffer.from(seal.salt, 'base64'), seal)
  if (!timingSafeEqual(rawOf(publicKey), Buffer.from(seal.publicKey, 'base64'))) throw new PasswordWrong()
  return privateKey
}

/** A key for one writing of one chunk, and what has to stand in front of the chunk so that the private key finds it again. */
export async function newChunkKey (
  seal: Seal, uploadId: string, index: number
): Promise<{ readonly header: Buffer, readonly key: Buffer }> {
  const pair = await promisify(generateKeyPair)('x25519')
  const header = rawOf(pair.publicKey)
  const recipient = Buffer.from(seal.publicKey, 'base64')
  return { header, key: derive(pair.privateKey, publicKeyOf(recipient), { header, recipient, uploadId, index }) }
}

/** The key of a chunk that is stored. */
export function chunkKey (
  privateKey: KeyObject, seal: Seal, chunk: Pick<KeyPurpose, 'header' | 'uploadId' | 'index'>
): Buffer {
  return derive(privateKey, publicKeyOf(chunk.header), { ...chunk, recipient: Buffer.from(seal.publicKey, 'base64') })
}

/** What one key is for. */
interface KeyPurpose {
  /** What stands in front of the chunk: the public key that was made for it. */
  readonly header: Buffer
  /** The public key of the seal. */
  readonly recipient: Buffer
  readonly uploadId: string
  /** Of the chunk, from 0. */
  readonly index: number
}

/** HKDF-SHA-256 (RFC 5869) over the shared secret; what the key is for stands in it, so that chunks cannot change their places. */
function derive (privateKey: KeyObject, publicKey: KeyObject, { header, recipient, uploadId, index }: KeyPurpose): Buffer {
  const secret = diffieHellman({ privateKey, publicKey })
  return Buffer.from(hkdfSync('sha256', secret, Buffer.concat([header, recipient]), `chunk ${index} of ${uploadId}`, 32))
}

async function keyPairOf (
  { password, asker }: Password, salt: Buffer, { cost, blockSize, parallelization }: ScryptCost
): Promise<{ readonly privateKey: KeyObject, readonly publicKey: KeyObject }> {
  const maxmem = 256 * cost * blockSize
  const seed = await turns.take(asker, () => new Promise<Buffer>((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, 32, { cost, blockSize, parallelization, maxmem }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  }))
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

/** The process's, as the threads are for which checks wait. */
const turns = new PasswordTurns()

/** What stands in front of the 32 bytes of an X25519 key in DER (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI = Buffer.from('302a300506032b656e032100', 'hex')

function publicKeyOf (raw: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' })
}

function rawOf (publicKey: KeyObject): Buffer {
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI.length)
}
