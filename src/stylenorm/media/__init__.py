"""Pictures in and out: read faithfully, written whole or not at all, found, and planned where they go."""

from stylenorm.media.animating import write_animation, write_media
from stylenorm.media.animation import Animation, read_animation, read_media
from stylenorm.media.atomic import atomic_write, check_output
from stylenorm.media.finding import find_pictures
from stylenorm.media.opening import MAX_MEGAPIXELS, PictureSource
from stylenorm.media.picture import Frame, Metadata, Picture
from stylenorm.media.planning import Job, plan_outputs
from stylenorm.media.reading import picture_from_image, read_picture
from stylenorm.media.transparency import fill_transparent
from stylenorm.media.writing import encode_picture, write_picture

__all__ = [
    "MAX_MEGAPIXELS",
    "Animation",
    "Frame",
    "Job",
    "Metadata",
    "Picture",
    "PictureSource",
    "atomic_write",
    "check_output",
    "encode_picture",
    "fill_transparent",
    "find_pictures",
    "picture_from_image",
    "plan_outputs",
    "read_animation",
    "read_media",
    "read_picture",
    "write_animation",
    "write_media",
    "write_picture",
]
