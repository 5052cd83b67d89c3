// The Chromium of one run of the tests: node browser-server.mjs RUNNER FOLDER EXECUTABLE ARGUMENT... writes into FOLDER/endpoint where it
// is reached. It ends with the process RUNNER, however that ends, and takes the folder along.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const [, , runner, folder, executablePath, ...args] = process.argv
process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })

const server = await chromium.launchServer({ executablePath, args, host: '127.0.0.1' })
server.on('close', () => { process.exit() })
setInterval(() => {
  try {
    process.kill(Number(runner), 0)
  } catch {
    server.kill().finally(() => { process.exit() })
  }
}, 250)
writeFileSync(`${folder}/endpoint.new`, server.wsEndpoint())
renameSync(`${folder}/endpoint.new`, `${folder}/endpoint`)
