"""What a model looks at, and what its parts look for.

`METHODS` holds the attribution methods, one a file. All are called alike, `method(model, images, class_index,
layer=None, ...)`, and give one map an image: (N, H, W) float32 in [0, 1], zeros where nothing stands out.
"""

from lib.explain.attributions.grad_cam import grad_cam
from lib.explain.attributions.grad_cam_plus_plus import grad_cam_plus_plus
from lib.explain.attributions.gradient import gradient
from lib.explain.attributions.gradient_x_input import gradient_x_input
from lib.explain.attributions.guided_backprop import guided_backprop
from lib.explain.attributions.integrated_gradients import integrated_gradients
from lib.explain.attributions.occlusion import occlusion
from lib.explain.attributions.rise import rise
from lib.explain.attributions.smooth_gradient import smooth_gradient

METHODS = {
    "gradient": gradient,
    "gradient_x_input": gradient_x_input,
    "smooth_gradient": smooth_gradient,
    "integrated_gradients": integrated_gradients,
    "guided_backprop": guided_backprop,
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "occlusion": occlusion,
    "rise": rise,
}
