"""Images and masks: where they lie, how they are read, resized, cached, batched; and generated ones."""

from . import batches as batches
from . import images as images
from . import imdb as imdb
from . import imreadjpeg as imreadjpeg
from . import imresize as imresize
from . import isic2017 as isic2017
from . import pack as pack
from . import phantom as phantom
from . import resampling as resampling
from . import workers as workers
