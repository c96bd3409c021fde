"""Settings of the quantization, and the recipe of each target."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from s2d_edge.contracts.bundle import Mode, Target

# Table look-ups stay in floating point: a stream's age biases are small beside the large number that marks an
# empty slot, and NNCF would round them to multiples of a scale chosen for that number.
FLOAT_LOOKUPS = ("Gather",)

Ranges = Literal["minmax", "quantile", "histogram"]
Int8Landmark = Literal["all", "chains", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of NNCF's post-training quantization, as the manifest records them.

    Attributes:
        backend: the graph format quantized.
        preset: ``performance`` keeps activations symmetric, so every zero-point is 0; ``mixed`` lets them be
            asymmetric. Weights are symmetric and per channel in both.
        device: NNCF's name of the hardware whose operator rules apply.
        quantize_attention: also quantize the products of two activations (Q·Kᵀ and A·V).
        int8_landmark: quantized part of the landmark network, depthwise convolutions and the first one
            aside (:mod:`s2d_edge.calibrate.quantize.float_layers`): ``all``; ``chains``, its residual
            chains without the two strided bottlenecks before them; or ``none``.
        quantized_anyway: number of the landmark network's first and depthwise convolutions, counted from the
            last, that are quantized too, since too little of a small model would be INT8 otherwise.
        elementwise_attention: the graph attends to past frames by element-wise products, as a stream's step
            does; they stay in floating point with the attention they are part of.
        ranges: estimator of an activation's range from the clips: ``minmax`` averages each clip's extremes,
            ``quantile`` each clip's 0.01 % and 99.99 % quantiles, which takes longer; ``histogram`` finds the
            range with the smallest error, which takes longest.
        smooth_quant_alpha: share of the spread of linears' activations that is moved into their weights, 0
            to 1; -1 for none.
        smooth_convolutions_alpha: that share for convolutions.
        fast_bias_correction: correct each layer's mean error from the calibration clips.
        float_layers: names of further linears and convolutions that stay in floating point.
        algorithm: of NNCF; ``accuracy-control`` chooses layers to put back into floating point.
        tuning_steps: of quantization-aware fine-tuning before the weights are quantized; 0 for none.
        tuning_lr: its learning rate.
    """

    backend: Literal["onnx", "openvino"]
    preset: Literal["performance", "mixed"]
    device: Literal["ANY", "CPU", "GPU", "NPU"]
    quantize_attention: bool
    int8_landmark: Int8Landmark = "all"
    quantized_anyway: int = 0
    elementwise_attention: bool = False
    ranges: Ranges = "minmax"
    smooth_quant_alpha: float = 0.95
    smooth_convolutions_alpha: float = -1
    fast_bias_correction: bool = True
    float_layers: tuple[str, ...] = ()
    algorithm: Literal["post-training", "accuracy-control"] = "post-training"
    tuning_steps: int = 0
    tuning_lr: float = 0.0

    @property
    def float_products(self) -> tuple[str, ...]:
        """Kinds of operations that stay in floating point where both factors are activations."""
        product = "Mul" if self.backend == "onnx" else "Multiply"
        return ("MatMul", product) if self.elementwise_attention else ("MatMul",)

    @property
    def execution(self) -> dict[str, dict[str, str]]:
        """Runtime properties the INT8 graph needs beside those of FP32, per device."""
        if self.preset != "performance":
            return {}
        # Options of ONNX Runtime's TensorRT provider: layers not quantized run in FP16, norms in FP32.
        return {
            "tensorrt": {
                "trt_int8_enable": "1",
                "trt_fp16_enable": "1",
                "trt_layer_norm_fp32_fallback": "1",
            }
        }

    def as_record(self) -> dict[str, str | float | int | bool]:
        """Return the settings for the manifest; layers are joined by commas, unused settings left out."""
        settings = asdict(self) | {
            "algorithm": f"nncf-{self.algorithm}",
            "model_type": "transformer",
            "float_layers": ", ".join(self.float_layers),
        }
        unused = set() if self.float_layers else {"float_layers"}
        if not self.quantized_anyway:
            unused |= {"quantized_anyway"}
        if not self.tuning_steps:
            unused |= {"tuning_steps", "tuning_lr"}
        return {key: value for key, value in settings.items() if key not in unused}


def recipe_for(
    target: Target, graph: str, mode: Mode = "window", int8_landmark: Int8Landmark = "all"
) -> Recipe:
    """Return the recipe of a bundle's target, graph file and mode.

    Args:
        int8_landmark: see :func:`s2d_edge.calibrate.quantize.float_layers.affordable_landmark`.

    TensorRT takes symmetric signed INT8 only, and fuses attention in FP16 better than it runs it between
    quantizers. ONNX Runtime's CPU kernels are fastest with unsigned, asymmetric activations, and run the
    products of two activations in FP32 faster than they would quantize them. OpenVINO runs attention as one
    operator in floating point.
    """
    stream = mode == "stream"
    if target == "jetson":
        return Recipe(
            backend="onnx",
            preset="performance",
            device="ANY",
            quantize_attention=False,
            int8_landmark=int8_landmark,
            elementwise_attention=stream,
        )
    if graph.endswith(".onnx"):
        return Recipe(
            backend="onnx",
            preset="mixed",
            device="CPU",
            quantize_attention=False,
            int8_landmark=int8_landmark,
            elementwise_attention=stream,
        )
    devices: dict[Target, Literal["CPU", "GPU", "NPU"]] = {"intel-gpu": "GPU", "intel-npu": "NPU"}
    return Recipe(
        backend="openvino",
        preset="mixed",
        device=devices.get(target, "CPU"),
        quantize_attention=False,
        int8_landmark=int8_landmark,
        elementwise_attention=stream,
    )
