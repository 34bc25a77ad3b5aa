"""Pictures in and out: read faithfully, written whole or not at all, found, and planned where they go."""

from stylenorm._moved import old_names
from stylenorm.media.atomic import atomic_write, check_output, locked, write_json
from stylenorm.media.finding import SHARD_SUFFIXES, LeftOut, find_pictures
from stylenorm.media.formats import FORMATS, READABLE_SUFFIXES, format_named
from stylenorm.media.pictures.animating import write_animation, write_media
from stylenorm.media.pictures.animation import Animation, read_animation, read_media
from stylenorm.media.pictures.big import BIG_FORMATS, BigPicture, read_header, write_big
from stylenorm.media.pictures.encoding import check_fits
from stylenorm.media.pictures.kinds import looks_like_picture
from stylenorm.media.pictures.labels import UNLABELLED, check_labels, numbered_from_0, read_labels
from stylenorm.media.pictures.opening import MAX_MEGAPIXELS, PictureSource, picture_size
from stylenorm.media.pictures.picture import (
    Frame,
    Metadata,
    Picture,
    from_float,
    resize_shorter,
    to_float,
    to_uint8,
)
from stylenorm.media.pictures.plugins import is_picture_name
from stylenorm.media.pictures.preparing import finished_picture, read_mask, scaled_image
from stylenorm.media.pictures.reading import picture_from_image, read_picture
from stylenorm.media.pictures.transparency import fill_transparent
from stylenorm.media.pictures.writing import encode_picture, write_picture
from stylenorm.media.planning import STANDARD, Job, SameStyles, StyleDraw, plan_outputs
from stylenorm.media.video.film import Film, FilmFrame
from stylenorm.media.video.formats import FILM_FORMATS, FilmFormat, film_format_named, film_format_of, is_film
from stylenorm.media.video.reading import Damage, FilmReader
from stylenorm.media.video.writing import FilmWriter, WritingOptions

__all__ = [
    "BIG_FORMATS",
    "FILM_FORMATS",
    "FORMATS",
    "MAX_MEGAPIXELS",
    "READABLE_SUFFIXES",
    "SHARD_SUFFIXES",
    "STANDARD",
    "UNLABELLED",
    "Animation",
    "BigPicture",
    "Damage",
    "Film",
    "FilmFormat",
    "FilmFrame",
    "FilmReader",
    "FilmWriter",
    "Frame",
    "Job",
    "LeftOut",
    "Metadata",
    "Picture",
    "PictureSource",
    "SameStyles",
    "StyleDraw",
    "WritingOptions",
    "atomic_write",
    "check_fits",
    "check_labels",
    "check_output",
    "encode_picture",
    "fill_transparent",
    "film_format_named",
    "film_format_of",
    "find_pictures",
    "finished_picture",
    "format_named",
    "from_float",
    "is_film",
    "is_picture_name",
    "locked",
    "looks_like_picture",
    "numbered_from_0",
    "picture_from_image",
    "picture_size",
    "plan_outputs",
    "read_animation",
    "read_header",
    "read_labels",
    "read_mask",
    "read_media",
    "read_picture",
    "resize_shorter",
    "scaled_image",
    "to_float",
    "to_uint8",
    "write_animation",
    "write_big",
    "write_json",
    "write_media",
    "write_picture",
]

__getattr__ = old_names(__name__)
