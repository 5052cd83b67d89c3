import { Dashboard, Tus, Uppy } from '/uppy/uppy.min.mjs'
import { formatName, formatSize } from './format.js'

const byId = id => document.getElementById(id)

const uppy = new Uppy()
  .use(Dashboard, {
    target: '#uppy',
    inline: true,
    width: '100%',
    height: 420,
    theme: 'auto',
    proudlyDisplayPoweredByUppy: false
  })
  // What was interrupted goes on where it stopped when the same file is added again: after a reload, too.
  .use(Tus, { endpoint: new URL('/tus/', location).href, removeFingerprintOnSuccess: true })

uppy.on('upload-success', ({ name, size }, { uploadURL }) => {
  const row = byId('file-template').content.firstElementChild.cloneNode(true)
  const shown = formatName(name)
  row.querySelector('.name').textContent = shown
  row.querySelector('.size').textContent = formatSize(size)
  row.querySelector('.download').href = uploadURL
  row.querySelector('.download').setAttribute('aria-label', `Download ${shown}`)
  byId('done').prepend(row)
  byId('done-empty').hidden = true
})
