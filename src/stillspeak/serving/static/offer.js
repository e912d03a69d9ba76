// What a user drops, pastes or chooses: one photo, one sound, one of each, or a sentence that says why it cannot be used.

const WANTED = "drop one photo, one sound file, or one of each.";
const PICTURE = /\.(avif|bmp|gif|heic|heif|jfif|jpe?g|jp2|png|tiff?|webp)$/i;
const SOUND = /\.(3gp|aac|aiff?|amr|avi|caf|flac|m4a|m4v|mka|mkv|mov|mp3|mp4|mpe?g|oga|ogg|ogv|opus|wav|weba|webm|wma|wmv)$/i;
const VIDEO = /\.(3gp|avi|m4v|mkv|mov|mp4|mpe?g|ogv|webm|wmv)$/i;

export function kindOf({ type, name }) { // browsers give many files no type
  if (type.startsWith("image/") || (!type && PICTURE.test(name))) return "picture";
  if (/^(audio|video)\//.test(type) || SOUND.test(name)) return "sound";
  return PICTURE.test(name) ? "picture" : "";
}

export function called(file) { // what a sentence calls a file that speech comes from
  const video = file.type.startsWith("video/") || (!file.type && VIDEO.test(file.name));
  return video ? `the sound of ${file.name}` : file.name;
}

export function understand(transfer) { // {photo, speech} or {wrong}
  const files = [...transfer.files];
  const folder = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).find((entry) => entry?.isDirectory);
  if (folder) return { wrong: `${folder.name} is a folder; ${WANTED}` };
  if (!files.length) return { wrong: notAFile([...transfer.types]) };
  const photos = files.filter((file) => kindOf(file) === "picture"), sounds = files.filter((file) => kindOf(file) === "sound");
  const other = files.find((file) => !kindOf(file)), empty = files.find((file) => !file.size);
  if (other) return { wrong: `${other.name} is neither a picture nor a sound file; ${WANTED}` };
  if (photos.length > 1) return { wrong: `These are ${photos.length} pictures; ${WANTED}` };
  if (sounds.length > 1) return { wrong: `These are ${sounds.length} sound files; ${WANTED}` };
  if (empty) return { wrong: `${empty.name} is empty.` };
  return { photo: photos[0], speech: sounds[0] };
}

function notAFile(types) {
  if (types.includes("text/uri-list")) return "This is a link, not a file; save what it leads to, and drop the file.";
  if (types.some((type) => type.startsWith("text/"))) return `This is text; ${WANTED}`;
  return `There is no file in this; ${WANTED}`;
}
