import { Refused, Unreachable } from './request.js'

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15_000

/** Trouble that goes away by itself: worth waiting for, however long it takes. */
export function passes (error) {
  return error instanceof Unreachable || (error instanceof Refused && ([408, 423, 425, 429].includes(error.status) || error.status >= 500))
}

/** The server is elsewhere than the page thought. Asking it where settles that. */
export function disagrees (error) {
  return error instanceof Refused && ([404, 409, 410].includes(error.status) || typeof error.body?.offset === 'number')
}

/** Milliseconds to wait after so many setbacks in a row: doubled each time, never the same for all, never less than the server asks for. */
export function backoff (setbacks, { retryAfter = 0 }) {
  const wait = Math.min(FIRST_WAIT_MS * 2 ** setbacks, LONGEST_WAIT_MS) * (0.8 + 0.4 * Math.random())
  return Math.max(wait, retryAfter ?? 0)
}

/** `over` resolves after so long, or when `wake` is called, the computer comes online, or `signal` aborts. */
export function nap (milliseconds, signal) {
  let wake
  const woken = new Promise(resolve => { wake = resolve })
  const timer = setTimeout(wake, milliseconds)
  window.addEventListener('online', wake)
  signal.addEventListener('abort', wake)
  return {
    wake,
    over: woken.then(() => {
      clearTimeout(timer)
      window.removeEventListener('online', wake)
      signal.removeEventListener('abort', wake)
    })
  }
}
