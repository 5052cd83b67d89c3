const STALL_MS = 45_000

/** No answer: the server is away, or the network is. */
export class Unreachable extends Error {
  name = 'Unreachable'
}

/** The server answered, and the answer is no. `body` is its JSON, where it sent some. */
export class Refused extends Error {
  name = 'Refused'

  constructor (status, body, retryAfter = null) {
    const detail = body?.detail ?? body?.message ?? body?.error
    super(typeof detail === 'string' ? detail : `The server answered ${status}${detail ? ` ${JSON.stringify(detail)}` : ''}.`)
    this.status = status
    this.body = body
    /** Milliseconds the server asked to wait; null when it did not. */
    this.retryAfter = retryAfter
  }
}

/**
 * One request. XMLHttpRequest, since fetch tells nothing of the bytes on their way up.
 *
 * Resolves with the parsed JSON body (null without one), or with what `answer` makes of the reply's header fields. Rejects with {@link Refused} for every status but 2xx, with
 * {@link Unreachable} when nothing moved for 45 seconds or the connection failed, and with the signal's reason when aborted.
 */
export function request (method, url, { body = null, headers = {}, answer, signal, onProgress } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const xhr = new XMLHttpRequest()
    let stall
    const moved = () => {
      clearTimeout(stall)
      stall = setTimeout(() => xhr.abort(), STALL_MS)
    }
    const abort = () => xhr.abort()
    signal?.addEventListener('abort', abort)

    xhr.upload.onprogress = ({ loaded }) => {
      moved()
      onProgress?.(loaded)
    }
    xhr.onprogress = moved
    xhr.onloadend = () => {
      clearTimeout(stall)
      signal?.removeEventListener('abort', abort)
      if (signal?.aborted) reject(signal.reason)
      else if (xhr.status === 0) reject(new Unreachable('The server does not answer.'))
      else if (xhr.status >= 200 && xhr.status < 300) resolve(answer ? answer(name => xhr.getResponseHeader(name)) : json(xhr))
      else reject(new Refused(xhr.status, json(xhr), retryAfter(xhr)))
    }

    xhr.open(method, url)
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value)
    moved()
    xhr.send(body)
  })
}

function json (xhr) {
  try {
    return JSON.parse(xhr.responseText)
  } catch {
    return null
  }
}

function retryAfter (xhr) {
  const seconds = Number.parseInt(xhr.getResponseHeader('retry-after') ?? '', 10)
  return Number.isNaN(seconds) ? null : seconds * 1000
}
