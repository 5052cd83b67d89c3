import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { DEADLINE, within } from './deadline.js'
import { requireProgram } from './requires.js'

/**
 * Starts headless Chromium, as root too, that talks to the pages under test only. The caller closes it.
 * Where none is installed, the answer is undefined and `t` is skipped; in CI it fails.
 */
export async function startBrowser (t: Pick<Test, 'plan'>): Promise<Browser | undefined> {
  const executablePath = requireProgram(t, ['chromium', 'chromium-browser', 'google-chrome'])
  if (executablePath === undefined) return undefined
  return await chromium.launch({
    executablePath,
    timeout: DEADLINE,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'
    ]
  })
}

/** Runs a script in the page and gives what it says. @throws when it has said nothing at the deadline */
export async function evaluate<T> (page: Page, script: string): Promise<T> {
  return await within(page.evaluate<T>(script), `${script.slice(0, 60)}… in a page`)
}

/**
 * Limits what the page sends, in bytes a second, so that a test can step in while an upload is under way.
 * @returns a function that lifts the limit
 */
export async function throttleUploads (page: Page, bytesPerSecond: number): Promise<() => Promise<void>> {
  const session = await page.context().newCDPSession(page)
  const limit = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond }
  await session.send('Network.enable')
  await session.send('Network.emulateNetworkConditions', limit)
  return async () => { await session.send('Network.emulateNetworkConditions', { ...limit, uploadThroughput: -1 }) }
}

/** Drops files of this computer on the middle of the page, as a file manager does. */
export async function dropFiles (page: Page, paths: readonly string[]): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const data = { items: [], files: [...paths], dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data })
  }
  await session.detach()
}
