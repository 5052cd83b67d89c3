import { chosenFiles, droppedFiles, reopen } from './file-access.js'
import { FinishedFiles } from './finished-files.js'
import { formatName } from './format.js'
import { protocols } from './protocols.js'
import { Slots } from './slots.js'
import { fingerprint, Store } from './store.js'
import { Upload } from './upload.js'
import { UploadRow } from './upload-row.js'

const AT_ONCE = 3

const byId = id => document.getElementById(id)
const store = new Store()
const slots = new Slots(AT_ONCE)
const finished = new FinishedFiles(byId('files'), byId('file-template'), { tell: news, complain: notice })
/** By fingerprint, in the order of the list. */
const uploads = new Map()

function notice (text) {
  byId('notice').textContent = text
  byId('notice').hidden = text === ''
}

/** Read out by screen readers, and not shown: eyes see it happen. */
function news (text) {
  byId('news').textContent = text
}

function list (upload) {
  uploads.set(upload.key, upload)
  const row = new UploadRow(upload, byId('upload-template'), {
    onResume: () => resume(upload),
    onCancel: () => upload.cancel()
  })
  byId('uploads').append(row.element)
  byId('uploads-section').hidden = false

  upload.addEventListener('change', () => {
    if (upload.state !== 'done' && upload.state !== 'cancelled') return
    if (uploads.get(upload.key) !== upload) return
    uploads.delete(upload.key)
    if (row.element.contains(document.activeElement)) byId('choose').focus()
    row.element.remove()
    byId('uploads-section').hidden = uploads.size === 0
    news(upload.state === 'done' ? `${upload.name} is uploaded.` : `${upload.name} is cancelled.`)
    if (upload.state === 'done') finished.refresh()
  })
}

/** The protocol of this name; the first one where there is none. */
function protocolOf (name) {
  return protocols.find(protocol => protocol.name === name) ?? protocols[0]
}

/** Files from a drop or a picker: new ones start, those that were interrupted go on. */
function add (files) {
  const protocol = protocolOf(byId('protocol').value)
  const refused = []
  for (const { file, handle } of files) {
    let upload = uploads.get(fingerprint(file))
    if (upload === undefined) {
      if (file.size === 0 && protocol.client.refusesEmpty) {
        refused.push(formatName(file.name))
        continue
      }
      upload = new Upload(file, { protocol, store, slots })
      list(upload)
    }
    if (upload.file === null) upload.attach(file, handle)
    upload.start()
  }
  if (refused.length > 0) notice(`${protocol.title} takes no empty files: ${refused.join(', ')}. Other protocols do, tus for one.`)
}

/** The resume button of an upload whose file this page does not hold any more. */
async function resume (upload) {
  if (upload.handle !== null) {
    const file = await reopen(upload.handle, { ask: true })
    if (file !== null && fingerprint(file) === upload.key) return add([{ file, handle: upload.handle }])
    notice(`${upload.name} was moved or changed, or may not be read. Drop it on this page to go on.`)
    return
  }
  await choose({ multiple: false, expected: upload })
}

async function choose ({ multiple, expected }) {
  try {
    const files = await chosenFiles(byId('input'), { multiple })
    if (expected && files.length > 0 && fingerprint(files[0].file) !== expected.key) {
      notice(`That is not the ${expected.name} that was begun: size or date differ. It is sent as a new file.`)
    }
    add(files)
  } catch (error) {
    notice(error.message)
  }
}

async function showInterrupted () {
  for (const entry of await store.all()) {
    const upload = new Upload(entry, { protocol: protocolOf(entry.protocol), store, slots })
    if (await upload.check() || uploads.has(upload.key)) continue
    list(upload)
    if (upload.handle === null || upload.paused) continue
    const file = await reopen(upload.handle, { ask: false })
    if (file !== null && fingerprint(file) === upload.key) add([{ file, handle: upload.handle }])
  }
}

// The choice is part of the page's address, so that a reload or a link keeps it.
const select = byId('protocol')
for (const { name, title } of protocols) select.add(new Option(title, name))
function showProtocol ({ name, about }) {
  select.value = name
  byId('protocol-about').textContent = about
}
select.addEventListener('change', () => {
  history.replaceState(null, '', `#${select.value}`)
  showProtocol(protocolOf(select.value))
})
window.addEventListener('hashchange', () => showProtocol(protocolOf(location.hash.slice(1))))
showProtocol(protocolOf(location.hash.slice(1)))

byId('choose').addEventListener('click', () => {
  notice('')
  choose({ multiple: true })
})
byId('input').addEventListener('change', ({ target }) => {
  add([...target.files].map(file => ({ file, handle: null })))
  target.value = ''
})

// Browsers repeat dragover while files are held over the page, but do not all tell when they have left it.
let dragging
function setDragging (on) {
  clearTimeout(dragging)
  document.body.classList.toggle('dragging', on)
  if (on) dragging = setTimeout(setDragging, 700, false)
}
const hasFiles = event => event.dataTransfer.types.includes('Files')
document.addEventListener('dragover', event => {
  if (!hasFiles(event)) return
  event.preventDefault()
  setDragging(true)
})
document.addEventListener('drop', async event => {
  if (!hasFiles(event)) return
  event.preventDefault()
  setDragging(false)
  const { folders, files } = droppedFiles(event.dataTransfer)
  notice(folders === 0 ? '' : 'Folders cannot be uploaded: drop the files in them.')
  add(await files)
})

await Promise.all([finished.refresh(), showInterrupted()])
