import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { DEADLINE, within } from './deadline.js'
import { requireProgram } from './requires.js'

const fileOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** Of the Chromium of this run of the tests: made by the file that starts it, and removed when that ends. */
const folder = fileOf(`../../.tap/browser/${process.ppid}`)

const chromiumArguments = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'
]

/**
 * Headless Chromium, as root too, that talks to the pages under test only. All files of a run share one process, which the first starts and
 * which ends with the runner; each has its own contexts, which end when the caller closes the browser.
 * Where none is installed, the answer is undefined and `t` is skipped; in CI it fails.
 */
export async function startBrowser (t: Pick<Test, 'plan'>): Promise<Browser | undefined> {
  const executablePath = requireProgram(t, ['chromium', 'chromium-browser', 'google-chrome'])
  if (executablePath === undefined) return undefined
  return await within(connect(executablePath), 'the start of Chromium')
}

async function connect (executablePath: string): Promise<Browser> {
  for (;;) {
    if (isFirst()) startServer(executablePath)
    const url = endpoint()
    if (url === undefined) {
      await sleep(50)
      continue
    }
    try {
      return await chromium.connect(url, { timeout: DEADLINE })
    } catch (error) {
      if (!String(error).includes('ECONNREFUSED')) throw error
      // Of a former process with the runner's number.
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

function isFirst (): boolean {
  mkdirSync(dirname(folder), { recursive: true })
  try {
    mkdirSync(folder)
    return true
  } catch {
    return false
  }
}

/** It has no NODE_OPTIONS, as it does not end with this process, and all else: names of files need the LANG. */
function startServer (executablePath: string): void {
  const node = [process.execPath, fileOf('./browser-server.mjs'), String(process.ppid), folder, executablePath, ...chromiumArguments]
  spawn('env', ['-u', 'NODE_OPTIONS', ...node], { env: process.env, stdio: 'ignore', detached: true }).unref()
}

function endpoint (): string | undefined {
  try {
    return readFileSync(`${folder}/endpoint`, 'utf8')
  } catch {
    return undefined
  }
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
